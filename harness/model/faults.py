"""The parameters of every fault kind. What they do is in `harness/faults/`, one file per family.

To add a kind: a dataclass here (the network's are in `network_faults.py`, the service's in
`service_faults.py`), a row in FAULTS, a class in `harness/faults/`, a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Interval

from harness.model.capability import Capability
from harness.model.fault import Fault, Seconds, SecondsAboveZero
from harness.model.network_faults import (
    NetworkBandwidth,
    NetworkBlackhole,
    NetworkCorrupt,
    NetworkDown,
    NetworkHttpStatus,
    NetworkLatency,
    NetworkReset,
    NetworkSlowClose,
    NetworkSseStall,
    NetworkSseTruncate,
    NetworkTimeout,
)
from harness.model.service_faults import SERVICE_FAULTS

__all__ = [
    "FAULTS",
    "ProcessKill",
    "ProcessPause",
    "ProcessStop",
    "WeightsBitFlip",
    "WeightsMissing",
    "WeightsTruncate",
]


@dataclass(frozen=True, kw_only=True)
class ProcessKill(Fault):
    """SIGKILL to the server process; its supervisor is expected to restart it."""

    needs: ClassVar[Capability] = Capability.KILL
    kind: Literal["process.kill"] = "process.kill"


@dataclass(frozen=True, kw_only=True)
class ProcessStop(Fault):
    """SIGTERM to the server process: a clean exit that the supervisor should still repair."""

    needs: ClassVar[Capability] = Capability.STOP
    kind: Literal["process.stop"] = "process.stop"


@dataclass(frozen=True, kw_only=True)
class ProcessPause(Fault):
    """SIGSTOP to the server process: it accepts connections and never answers."""

    needs: ClassVar[Capability] = Capability.PAUSE
    kind: Literal["process.pause"] = "process.pause"
    for_s: SecondsAboveZero = 10.0
    """How long it hangs before SIGCONT."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class WeightsFault(Fault):
    """What every fault of the model files has."""

    needs: ClassVar[Capability] = Capability.CORRUPT_FILES
    restart_after_s: Seconds | None = 0.0
    """Seconds after the damage at which the replica is restarted, so that it loads the damaged file; null: never."""
    for_s: SecondsAboveZero = 10.0
    """How long the damage stays before the file is restored and the replica restarted with it."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class WeightsBitFlip(WeightsFault):
    """Flip bits in the weights in place. Loaders do not notice: there is no checksum in the format."""

    kind: Literal["weights.bit_flip"] = "weights.bit_flip"
    bits: Annotated[int, Ge(1)] = 1000
    """How many bits, at places drawn from the seed. 1,000 spoil every answer of a small model; 1 spoils none."""


@dataclass(frozen=True, kw_only=True)
class WeightsTruncate(WeightsFault):
    """Cut the end off the weights file."""

    kind: Literal["weights.truncate"] = "weights.truncate"
    keep_ratio: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Which part of the file stays, 0 to below 1."""


@dataclass(frozen=True, kw_only=True)
class WeightsMissing(WeightsFault):
    """Move the weights file away."""

    kind: Literal["weights.missing"] = "weights.missing"


FAULTS: Mapping[str, type[Fault]] = {
    "network.bandwidth": NetworkBandwidth,
    "network.blackhole": NetworkBlackhole,
    "network.corrupt": NetworkCorrupt,
    "network.down": NetworkDown,
    "network.http_status": NetworkHttpStatus,
    "network.latency": NetworkLatency,
    "network.reset": NetworkReset,
    "network.slow_close": NetworkSlowClose,
    "network.sse_stall": NetworkSseStall,
    "network.sse_truncate": NetworkSseTruncate,
    "network.timeout": NetworkTimeout,
    "process.kill": ProcessKill,
    "process.pause": ProcessPause,
    "process.stop": ProcessStop,
    **SERVICE_FAULTS,
    "weights.bit_flip": WeightsBitFlip,
    "weights.missing": WeightsMissing,
    "weights.truncate": WeightsTruncate,
}
