"""Which faults of a container's resources cannot be there at the same time, and which could never be seen."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.fault import Fault
from harness.model.faults import ProcessKill, ProcessStop
from harness.model.resource_faults import ClockJump, MemoryOom, MemoryPressure, ResourceFault, StorageSlow
from harness.model.weights_faults import WeightsFault

__all__ = ["CLOCK_S_MIN", "resource_clash", "too_small"]

CLOCK_S_MIN = 10.0
OUTLIVES = ("resources.cpu", "clock.jump")  # a quota and an offset are the container's, also after a restart


def resource_clash(one: Fault, other: Fault) -> str | None:
    """Why two faults that overlap cannot both be on one replica; `one` begins first."""
    if one.on != other.on or not any(isinstance(fault, ResourceFault) for fault in (one, other)):
        return None
    if one.kind == other.kind:
        return f"{other.on} has {one.kind} already then, and one fault would be taken for the other"
    memory = MemoryOom | MemoryPressure
    if isinstance(one, memory) and isinstance(other, memory):
        return f"{one.kind} and {other.kind} fill the same memory"
    for ends, lasts in ((one, other), (other, one)):
        if isinstance(lasts, ResourceFault) and lasts.kind not in OUTLIVES and _restarts(ends):
            return f"{ends.kind} ends the container of {other.on}, and {lasts.kind} with it"
    return None


def too_small(fault: Fault) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it) of a fault that nobody could tell from none."""
    if isinstance(fault, ClockJump) and abs(fault.by_s) < CLOCK_S_MIN:
        yield "by_s", f"must be {CLOCK_S_MIN:g} or more, forward or back"


def _restarts(fault: Fault) -> bool:
    if isinstance(fault, WeightsFault):
        return fault.restart_after_s is not None
    return isinstance(fault, MemoryOom | StorageSlow | ProcessKill | ProcessStop)
