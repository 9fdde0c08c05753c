"""A fault put into a scripted target, and the proofs that come of it."""

from __future__ import annotations

from harness.faults.base import Where
from harness.faults.on_demand import OnDemand
from harness.faults.table import activate
from harness.model.fault import Fault
from harness.record.clock import FakeClock


def injected(fault: Fault, where: Where) -> OnDemand:
    found = activate(fault, where)
    assert isinstance(found, OnDemand)
    found.prepare()
    found.apply()
    return found


def proofs(fault: OnDemand, clock: FakeClock, looks: int = 12) -> list[str]:
    found = []
    for _ in range(looks):
        clock.sleep(0.25)
        proof = fault.proof()
        if proof is not None:
            found.append(proof.evidence)
    return found
