"""Why faults that take a server away, or cut it off, cannot be there together with others."""

from __future__ import annotations

from harness.model.fault import Fault
from harness.model.network_faults import NetworkFault
from harness.model.partition_faults import PartitionFault
from harness.model.process_faults import NodeDown, ProcessCrashLoop
from harness.model.start_faults import StartFault

__all__ = ["clash_of_absence"]

ABSENT = (NodeDown, StartFault, ProcessCrashLoop)  # who has one of these is down, by and by or all the time


def clash_of_absence(one: Fault, other: Fault) -> str | None:
    """The reason, in words, given that they overlap in time; None: they do not disturb each other."""
    on_the_way = all(isinstance(fault, PartitionFault | NetworkFault) for fault in (one, other))
    if on_the_way and any(isinstance(fault, PartitionFault) for fault in (one, other)):
        return "servers are cut off from each other then, and one fault would be taken for the other"
    both = sorted(_servers(one) & _servers(other))
    if not both or not any(isinstance(fault, ABSENT) for fault in (one, other)):
        return None
    return f"{one.kind} and {other.kind} both want {both[0]}, which one of them keeps down"


def _servers(fault: Fault) -> set[str]:
    return set(fault.servers) if isinstance(fault, NodeDown) else {fault.on}
