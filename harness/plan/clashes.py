"""Why faults that take a server away, or cut it off, cannot be there together with others."""

from __future__ import annotations

from harness.model.fault import Fault
from harness.model.network_faults import NetworkFault
from harness.model.partition_faults import PartitionFault
from harness.model.process_faults import NodeDown, ProcessCrashLoop, ProcessKill
from harness.model.service_faults import ServiceCrash, ServiceKillEngine
from harness.model.start_faults import StartFault

__all__ = ["clash_of_absence", "ends_engine"]

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


def ends_engine(fault: Fault) -> bool:
    """Whether the engine's process ends and the server before it may live on."""
    if isinstance(fault, ServiceCrash):
        return fault.where == "engine"
    return isinstance(fault, ServiceKillEngine) or (isinstance(fault, ProcessKill) and fault.of == "engine")


def _servers(fault: Fault) -> set[str]:
    return set(fault.servers) if isinstance(fault, NodeDown) else {fault.on}
