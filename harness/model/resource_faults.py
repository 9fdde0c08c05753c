"""The parameters of the faults that take something away from one replica's container: memory, processors, descriptors,
room on a volume, speed of its disk, the right time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Interval

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = [
    "RESOURCE_FAULTS",
    "ClockJump",
    "MemoryOom",
    "MemoryPressure",
    "ResourceFault",
    "ResourcesCpu",
    "ResourcesDiskFull",
    "ResourcesFd",
    "ResourcesShm",
    "StorageSlow",
]


@dataclass(frozen=True, kw_only=True)
class ResourceFault(Fault):
    """What every fault of a container's resources has."""

    needs: ClassVar[Capability] = Capability.RESOURCES


@dataclass(frozen=True, kw_only=True)
class LastingResourceFault(ResourceFault):
    """What every one has that stays until it is taken back."""

    for_s: SecondsAboveZero = 10.0
    """How long it lasts; what the harness put into the container ends by itself a little later."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class MemoryOom(ResourceFault):
    """The container's memory is used up, and the kernel's OOM killer ends a process of the replica."""

    kind: Literal["memory.oom"] = "memory.oom"
    by: Literal["ballast", "leak"] = "ballast"
    """ballast: something beside the server fills the memory; leak: the replica does, and the kernel picks a victim."""
    within_s: SecondsAboveZero = 10.0
    """How long the memory may take to fill; what filled it is taken away then."""

    @property
    def lasts_s(self) -> float:
        return self.within_s

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities | ({Capability.SERVICE_FAULTS} if self.by == "leak" else set())


@dataclass(frozen=True, kw_only=True)
class MemoryPressure(LastingResourceFault):
    """Something else in the container uses so much memory that little is left, but nothing is killed."""

    kind: Literal["memory.pressure"] = "memory.pressure"
    share: Annotated[float, Interval(ge=0.1, le=0.98)] = 0.9
    """Of the container's limit that is in use, held there. At least 48 MiB must be left."""


@dataclass(frozen=True, kw_only=True)
class ResourcesCpu(LastingResourceFault):
    """The container gets a small quota of processor time, also after a restart."""

    kind: Literal["resources.cpu"] = "resources.cpu"
    processors: Annotated[float, Interval(ge=0.01, le=64)] = 0.1
    """How many it may use; 0.1 is 10 ms in every 100 ms."""


@dataclass(frozen=True, kw_only=True)
class ResourcesDiskFull(LastingResourceFault):
    """A volume that the replica writes to is full: writing to it fails with ENOSPC."""

    kind: Literal["resources.disk_full"] = "resources.disk_full"
    volume: Literal["logs", "tmp"] = "logs"
    """logs: /logs, which `target: {replica: {log_dir: /logs}}` writes to; tmp: /tmp. The model's is read-only."""


@dataclass(frozen=True, kw_only=True)
class ResourcesShm(LastingResourceFault):
    """The container's shared memory, /dev/shm, is full."""

    kind: Literal["resources.shm"] = "resources.shm"


@dataclass(frozen=True, kw_only=True)
class ResourcesFd(LastingResourceFault):
    """The server process runs out of file descriptors: it can accept no connection and open no file."""

    kind: Literal["resources.fd"] = "resources.fd"
    spare: Annotated[int, Ge(0)] = 0
    """How many more it may open than it has open when the fault begins."""


@dataclass(frozen=True, kw_only=True)
class StorageSlow(LastingResourceFault):
    """The replica is restarted, and reads its model from a slow disk."""

    needs: ClassVar[Capability] = Capability.SLOW_STORAGE
    kind: Literal["storage.slow"] = "storage.slow"
    kb_per_s: Annotated[int, Interval(ge=16, le=10_000_000)] = 256
    """How many KiB it may read from disk in a second."""
    for_s: SecondsAboveZero = 20.0
    """How long reads are slow; one that is still loading then goes on at full speed."""


@dataclass(frozen=True, kw_only=True)
class ClockJump(LastingResourceFault):
    """The replica's wall clock jumps, and jumps back at the end; its monotonic clock and everybody else's stay."""

    needs: ClassVar[Capability] = Capability.CLOCK
    kind: Literal["clock.jump"] = "clock.jump"
    by_s: Annotated[float, Interval(ge=-1e9, le=1e9)] = 3600.0
    """How far, in seconds; negative: back. Less than 10 s cannot be told from what it takes to ask."""


RESOURCE_FAULTS: Mapping[str, type[ResourceFault]] = {
    "clock.jump": ClockJump,
    "memory.oom": MemoryOom,
    "memory.pressure": MemoryPressure,
    "resources.cpu": ResourcesCpu,
    "resources.disk_full": ResourcesDiskFull,
    "resources.fd": ResourcesFd,
    "resources.shm": ResourcesShm,
    "storage.slow": StorageSlow,
}
