"""Every fault of a container's resources bites and is given back: one run, on real containers under real load."""

from __future__ import annotations

import json

import pytest

from harness.model.resource_faults import RESOURCE_FAULTS
from tests.e2e.conftest import Start
from tests.e2e.test_compose import MISSING, things_of

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

FAULTS = (  # kind, where, when, its other keys, its evidence
    ("resources.disk_full", "primary", 0, "for_s: 3", "sees 0 bytes free at /logs; 32"),
    ("resources.disk_full", "standby", 0, "for_s: 3, volume: tmp", "sees 0 bytes free at /tmp; "),
    ("resources.shm", "primary", 0, "for_s: 3", "sees 0 bytes free at /dev/shm; 65"),
    ("clock.jump", "primary", 0, "for_s: 6", "dates its answers +3"),
    ("clock.jump", "standby", 0, "for_s: 5, by_s: -86400", "dates its answers -86"),
    ("resources.cpu", "primary", 6, "for_s: 5", "may use 0.1 processors, before 1.5; its quota was used up in "),
    ("memory.pressure", "primary", 0, "for_s: 6", "no OOM kill"),
    ("storage.slow", "standby", 6, "for_s: 16", "with at most 256 KiB/s, while "),
    ("resources.fd", "primary", 12, "for_s: 4", "a new connection to it got no answer"),
    ("memory.oom", "primary", 18, "within_s: 20", "its supervisor says: terminated by SIGKILL"),
    (
        "memory.oom",
        "standby",
        39,
        "within_s: 20, by: leak",
        "the kernel's OOM killer struck in the container of standby",
    ),
)


def test_each_resource_of_a_container_can_be_taken_away_is_proven_and_given_back(start: Start) -> None:
    assert {kind for kind, *_ in FAULTS} == set(RESOURCE_FAULTS)
    faults = "\n".join(f"  - {{kind: {kind}, on: {on}, at_s: {at_s}, {keys}}}" for kind, on, at_s, keys, _ in FAULTS)
    one = start(
        f"""
name: taken-away
target: {{replica: {{log_dir: /logs}}}}
load: {{rate_per_s: 8, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 12}}
faults:
{faults}
observe: {{lost_requests: {{max: 100000}}}}
""",
        stack="compose",
    )
    assert one.process.wait(timeout=240) in (0, 3), one.said()
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]

    def of(event_kind: str, field: str = "at_s") -> dict[int, object]:
        return {e["fault"]: e[field] for e in events if e["kind"] == event_kind}

    proofs, skipped = of("fault_proof", "evidence"), of("fault_skipped", "reason")
    for number, (kind, on, _, _, evidence) in enumerate(FAULTS):
        assert evidence in str(proofs.get(number, "not proven")), (kind, on, proofs.get(number), skipped.get(number))
    assert not of("fault_lost", "reason")
    healed = set(of("fault_healed"))
    assert healed == set(range(len(FAULTS))), [FAULTS[n][:2] for n in set(range(len(FAULTS))) - healed]
    assert any(e["kind"] == "target.oom" and e["replica"] == "primary" for e in events)
    assert things_of(one.folder.name) == []
    assert not one.owned()
