"""The parameters of faults of processes and of whole nodes: killed, killed again and again, stopped, paused, gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = [
    "PROCESS_FAULTS",
    "NodeDown",
    "ProcessCrashLoop",
    "ProcessKill",
    "ProcessPause",
    "ProcessStop",
    "Victim",
]

Victim = Literal["server", "engine", "init"]


@dataclass(frozen=True, kw_only=True)
class ProcessKill(Fault):
    """SIGKILL to the server process, or to the one below or above it; its supervisor is expected to restart it."""

    needs: ClassVar[Capability] = Capability.KILL
    kind: Literal["process.kill"] = "process.kill"
    of: Victim = "server"
    """server; engine: its child that computes, alone; init: the container's first process, which takes all with it."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({self.needs, Capability.KILL_INIT}) if self.of == "init" else frozenset({self.needs})


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
class ProcessCrashLoop(Fault):
    """SIGKILL to the server process, and to each one that its supervisor starts instead, until the time is over."""

    needs: ClassVar[Capability] = Capability.KILL
    kind: Literal["process.crash_loop"] = "process.crash_loop"
    for_s: SecondsAboveZero = 30.0
    """How long; then it is left to its supervisor, or started if that has given up."""
    up_s: Annotated[float, Ge(0)] = 1.0
    """How old a new process may become before it is killed as well."""
    kills_min: Annotated[int, Ge(2)] = 2
    """So many ends must be seen, or the loop is not proven. Supervisors wait longer each time."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class NodeDown(Fault):
    """A node is lost with all that runs on it: no goodbye, no answer, no restart until it is back."""

    needs: ClassVar[Capability] = Capability.NODES
    kind: Literal["node.down"] = "node.down"
    on: str = "primary"
    """Which replica's node."""
    also: tuple[str, ...] = field(default=())
    """What else runs on that node: other replicas, the gateway."""
    for_s: SecondsAboveZero = 10.0
    """How long the node is away."""

    @property
    def lasts_s(self) -> float:
        return self.for_s

    @property
    def servers(self) -> tuple[str, ...]:
        """Everything on the node, each once."""
        return tuple(dict.fromkeys((self.on, *self.also)))


PROCESS_FAULTS: Mapping[str, type[Fault]] = {
    "node.down": NodeDown,
    "process.crash_loop": ProcessCrashLoop,
    "process.kill": ProcessKill,
    "process.pause": ProcessPause,
    "process.stop": ProcessStop,
}
