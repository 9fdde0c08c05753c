"""Faults that only containers have, and those of processes, files and the service in them: each bites and is healed.

One run, in which the primary is cut off in every way while the standby loses its model and its node. A replica that is
down, or loading, is enough for most of them: only the hang needs one that serves.
"""

from __future__ import annotations

import json

import pytest

from harness.model.partition_faults import PartitionFault
from harness.model.process_faults import NodeDown, ProcessCrashLoop
from harness.model.start_faults import StartFault
from tests.e2e.conftest import Start
from tests.e2e.test_compose import MISSING, events, things_of

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

TRIED_HERE = (PartitionFault, NodeDown, ProcessCrashLoop, StartFault)  # and weights.permissions: root reads everything
PRIMARY = (  # kind, its other keys, when, its evidence
    ("network.partition", "for_s: 4", 0, "packets that met it, both ways"),
    ("network.partition", "for_s: 4, direction: to_gateway", 5, "packets that met it, on the way back"),
    ("network.partition", "for_s: 4, how: refuse", 10, "refused while it answered others"),
    ("network.partition", "for_s: 4, how: disconnect", 15, "no way, as the engine says"),
    ("service.hang", "for_s: 4", 25, "a chat got no token within 1.5 s while GET /health answered 200"),
    ("process.kill", "of: engine", 31, "the engine of the server"),
    ("start.port_taken", "for_s: 6", 35, "address already in use"),
    ("process.kill", "of: init", 42, "with its container's first process"),
    ("process.crash_loop", "for_s: 15", 46, "one after the other"),
)
STANDBY = (
    ("weights.permissions", "for_s: 10", 0, "the damaged file was refused"),
    ("node.down", "for_s: 4", 20, "exited with code 137"),
    ("process.stop", "", 28, "is gone; its supervisor says: "),
    ("start.model_missing", "for_s: 8", 32, "is empty"),
    ("start.dependency_missing", "for_s: 15", 48, "cannot be fetched from http://127.0.0.1:9"),
)
GATEWAY = (
    ("network.dns", "for_s: 4", 20, "got none ([Errno -3] Temporary failure in name resolution)"),
    ("network.down", "for_s: 3", 56, "a connection was refused"),
)


def test_each_fault_of_a_container_is_proven_and_is_healed_and_leaves_nothing(start: Start) -> None:
    asked = [
        (kind, on, at_s, keys, evidence)
        for on, faults in (("primary", PRIMARY), ("standby", STANDBY), ("gateway", GATEWAY))
        for kind, keys, at_s, evidence in faults
    ]
    faults = "\n".join(
        f"  - {{kind: {kind}, on: {on}, at_s: {at_s}{', ' * bool(keys)}{keys}}}" for kind, on, at_s, keys, _ in asked
    )
    one = start(
        f"""
name: bite
load: {{rate_per_s: 5, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 6}}
faults:
{faults}
observe: {{lost_requests: {{max: 100000}}}}
""",
        stack="compose",
    )
    assert one.process.wait(timeout=300) in (0, 3), one.said()
    happened = events(one)

    def of(event_kind: str, field: str = "at_s") -> dict[object, object]:
        return {e["fault"]: e[field] for e in happened if e["kind"] == event_kind}

    proofs = of("fault_proof", "evidence")
    for number, (kind, on, _, _, evidence) in enumerate(asked):
        said = str(proofs.get(number, "not proven"))
        assert evidence in said, (kind, on, said, of("fault_skipped", "reason"))
    healed = set(of("fault_healed"))
    assert healed == set(range(len(asked))), [asked[number][:2] for number in set(range(len(asked))) - healed]
    assert not of("fault_lost", "reason")
    assert not [e for e in happened if e["kind"] == "cleanup_failed"]
    assert things_of(one.folder.name) == []
    assert not one.owned()
    assert json.loads((one.folder / "verdict.json").read_text())["episodes"]
    assert not (one.folder / "stack" / "private").exists()


def test_every_fault_that_needs_a_container_is_tried_here() -> None:
    from harness.model.faults import FAULTS

    tried = {kind for kind, *_ in (*PRIMARY, *STANDBY, *GATEWAY)}
    assert {kind for kind, cls in FAULTS.items() if issubclass(cls, TRIED_HERE)} | {"weights.permissions"} <= tried
