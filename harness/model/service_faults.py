"""The parameters of the faults that a replica does to itself on demand: in its engine, memory, streams and start.

A field that is not every fault's is a parameter of the replica's own fault, with the same name and unit.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Interval, Len

from harness.model.capability import Capability
from harness.model.fault import Fault, Seconds, SecondsAboveZero

__all__ = [
    "SERVICE_FAULTS",
    "SERVICE_STREAM_FAULTS",
    "ServiceCrash",
    "ServiceEarlyReady",
    "ServiceFault",
    "ServiceHang",
    "ServiceKillEngine",
    "ServiceLeakMemory",
    "ServiceLeakSlots",
    "ServicePauseEngine",
    "ServicePoison",
    "ServiceSlowLoad",
    "ServiceSpin",
    "ServiceStaleCache",
    "ServiceStallStream",
    "ServiceTruncateStream",
]


@dataclass(frozen=True, kw_only=True)
class ServiceFault(Fault):
    """What every fault has that a replica does to itself."""

    needs: ClassVar[Capability] = Capability.SERVICE_FAULTS

    @property
    def arguments(self) -> Mapping[str, int | float | str]:
        """What the replica is told, by name."""
        common = {field.name for field in dataclasses.fields(LastingServiceFault)}
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in common}


@dataclass(frozen=True, kw_only=True)
class LastingServiceFault(ServiceFault):
    """What every one has that stays until it is taken back."""

    for_s: SecondsAboveZero = 10.0
    """How long it lasts, unless the replica is restarted before: then it is gone."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class ServiceHang(LastingServiceFault):
    """The engine blocks and computes no token, while the server answers and a shallow health check is green."""

    kind: Literal["service.hang"] = "service.hang"


@dataclass(frozen=True, kw_only=True)
class ServiceSpin(LastingServiceFault):
    """The engine burns a processor and computes no token, while the server answers."""

    kind: Literal["service.spin"] = "service.spin"


@dataclass(frozen=True, kw_only=True)
class ServiceCrash(ServiceFault):
    """A process ends by itself, without a goodbye; whoever supervises it is expected to restart it."""

    kind: Literal["service.crash"] = "service.crash"
    exit_code: Annotated[int, Interval(ge=0, le=255)] = 70
    """With this status. 0 is what a supervisor may take for a success."""
    where: Literal["server", "engine"] = "server"
    """Whose: the server's, or that of the engine behind it, if it has one."""


@dataclass(frozen=True, kw_only=True)
class ServiceKillEngine(ServiceFault):
    """SIGKILL to the engine's own process, if it has one; the server before it is expected to notice."""

    kind: Literal["service.kill_engine"] = "service.kill_engine"


@dataclass(frozen=True, kw_only=True)
class ServicePauseEngine(LastingServiceFault):
    """SIGSTOP to the engine's own process, if it has one, later SIGCONT; the server before it lives and answers."""

    kind: Literal["service.pause_engine"] = "service.pause_engine"

    @property
    def arguments(self) -> Mapping[str, int | float | str]:
        return {"signal": int(signal.SIGSTOP)}  # of the replica's own fault kill_engine


@dataclass(frozen=True, kw_only=True)
class ServiceLeakMemory(LastingServiceFault):
    """Memory is touched and kept."""

    kind: Literal["service.leak_memory"] = "service.leak_memory"
    mb: Annotated[int, Interval(ge=8, le=65536)] = 256
    """How much at once, in MiB. More than the host has to spare is refused when the fault is due."""
    kb_per_request: Annotated[int, Interval(ge=0, le=1024)] = 0
    """How much more with every request, in KiB."""


@dataclass(frozen=True, kw_only=True)
class ServiceLeakSlots(LastingServiceFault):
    """Places in the engine are lost: requests wait or are refused while it is idle."""

    kind: Literal["service.leak_slots"] = "service.leak_slots"
    slots: Annotated[int, Ge(1)] = 16
    """How many. The reference replica has 16; fewer are felt only under a load that would fill the others."""


@dataclass(frozen=True, kw_only=True)
class ServicePoison(LastingServiceFault):
    """A request that holds a certain text harms its replica. The harness sends one; users' own may hold it, too."""

    kind: Literal["service.poison"] = "service.poison"
    marker: Annotated[str, Len(1, 200)] = "poison-pill"
    """The text."""
    effect: Literal["crash", "kill_loop", "fail"] = "crash"
    """The engine's process ends (SIGSEGV), its loop ends while the process lives, or that one request fails."""


@dataclass(frozen=True, kw_only=True)
class ServiceStaleCache(LastingServiceFault):
    """Kept answers are given however old they are, and after another model was loaded."""

    kind: Literal["service.stale_cache"] = "service.stale_cache"


@dataclass(frozen=True, kw_only=True)
class ServiceTruncateStream(LastingServiceFault):
    """Token streams end in good order, but too early: no finish_reason, no [DONE]."""

    kind: Literal["service.truncate_stream"] = "service.truncate_stream"
    events: Annotated[int, Ge(0)] = 1
    """After so many pieces of text."""


@dataclass(frozen=True, kw_only=True)
class ServiceStallStream(LastingServiceFault):
    """Token streams fall silent in the middle."""

    kind: Literal["service.stall_stream"] = "service.stall_stream"
    events: Annotated[int, Ge(0)] = 1
    """After so many pieces of text."""


@dataclass(frozen=True, kw_only=True)
class ServiceEarlyReady(LastingServiceFault):
    """The replica is restarted, and says that it is ready before its model is loaded."""

    kind: Literal["service.early_ready"] = "service.early_ready"
    slow_load_s: Seconds = 0.0
    """Loading takes this much longer, so that the lie lasts."""


@dataclass(frozen=True, kw_only=True)
class ServiceSlowLoad(LastingServiceFault):
    """The replica is restarted, and loading its model takes long."""

    kind: Literal["service.slow_load"] = "service.slow_load"
    slow_load_s: Annotated[float, Ge(2)] = 5.0
    """This much longer. Less than 2 s cannot be told from an ordinary start."""
    for_s: SecondsAboveZero = 15.0
    """How long starts are slow; one that is still loading then is started anew. Must be above slow_load_s."""


SERVICE_STREAM_FAULTS = (ServiceStallStream, ServiceTruncateStream)  # they need token streams to hit

SERVICE_FAULTS: Mapping[str, type[ServiceFault]] = {
    "service.crash": ServiceCrash,
    "service.early_ready": ServiceEarlyReady,
    "service.hang": ServiceHang,
    "service.kill_engine": ServiceKillEngine,
    "service.leak_memory": ServiceLeakMemory,
    "service.leak_slots": ServiceLeakSlots,
    "service.pause_engine": ServicePauseEngine,
    "service.poison": ServicePoison,
    "service.slow_load": ServiceSlowLoad,
    "service.spin": ServiceSpin,
    "service.stale_cache": ServiceStaleCache,
    "service.stall_stream": ServiceStallStream,
    "service.truncate_stream": ServiceTruncateStream,
}
