"""The parameters of what keeps a replica from starting again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = ["START_FAULTS", "StartDependencyMissing", "StartFault", "StartModelMissing", "StartPortTaken"]


@dataclass(frozen=True, kw_only=True)
class StartFault(Fault):
    """What every one has. The replica is restarted once the obstacle is there."""

    for_s: SecondsAboveZero = 15.0
    """How long the obstacle stays. Then the replica is started again, if its supervisor has given it up."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class StartPortTaken(StartFault):
    """The replica is restarted, and somebody else has taken its port."""

    needs: ClassVar[Capability] = Capability.TAKE_PORT
    kind: Literal["start.port_taken"] = "start.port_taken"


@dataclass(frozen=True, kw_only=True)
class StartDependencyMissing(StartFault):
    """The replica is restarted and is to fetch its model from a hub that nobody answers for."""

    needs: ClassVar[Capability] = Capability.SERVICE_FAULTS  # options of its next starts
    kind: Literal["start.dependency_missing"] = "start.dependency_missing"


@dataclass(frozen=True, kw_only=True)
class StartModelMissing(StartFault):
    """The replica is restarted, and its model folder is empty, as when a volume is not mounted."""

    needs: ClassVar[Capability] = Capability.CORRUPT_FILES
    kind: Literal["start.model_missing"] = "start.model_missing"


START_FAULTS: Mapping[str, type[StartFault]] = {
    "start.dependency_missing": StartDependencyMissing,
    "start.model_missing": StartModelMissing,
    "start.port_taken": StartPortTaken,
}
