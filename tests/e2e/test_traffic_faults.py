"""Strangers beside the measured users: on real processes, proven by what the gateway counts, and gone afterwards."""

from __future__ import annotations

import json

import pytest

from harness.model.traffic_faults import TRAFFIC_FAULTS
from tests.e2e.conftest import Start

pytestmark = [pytest.mark.e2e, pytest.mark.model]

FAULTS = (  # kind, its other keys, its evidence
    ("traffic.burst", "rate_per_s: 60", "requests of strangers beside the users'"),
    ("traffic.idle_connections", "connections: 100", "more files open than before the connections came"),
    ("traffic.abandon", "rate_per_s: 20, output_tokens: 50", "requests of strangers beside the users'"),
    ("traffic.long_prompt", "words: 3000", "requests of strangers beside the users'"),
    ("traffic.retry_storm", "clients: 20", "requests of strangers beside the users'"),
)
EACH_S = 3


def test_each_fault_of_the_traffic_is_proven_and_leaves_nothing_open(start: Start) -> None:
    assert {kind for kind, *_ in FAULTS} == set(TRAFFIC_FAULTS)
    faults = "\n".join(
        f"  - {{kind: {kind}, {keys}, at_s: {number * (EACH_S + 1)}, for_s: {EACH_S}}}"
        for number, (kind, keys, _) in enumerate(FAULTS)
    )
    one = start(f"""
name: strangers
target: {{gateway: {{api_keys: on}}}}
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 4}}
faults:
{faults}
observe: {{lost_requests: {{max: 100000}}}}
""")
    assert one.process.wait(timeout=150) in (0, 3), one.said()
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]
    for number, (kind, _, evidence) in enumerate(FAULTS):
        (proof,) = [e for e in events if e["kind"] == "fault_proof" and e["fault"] == number]
        assert proof["proven"] and evidence in proof["evidence"], (kind, proof)
        assert [e for e in events if e["kind"] == "fault_healed" and e["fault"] == number], kind
    assert not [e for e in events if e["kind"] in ("fault_skipped", "fault_lost", "cleanup_failed")]
    counted = [event for event in events if event["kind"] == "counters" and event["source"] == "gateway"]
    assert "unauthorized" not in counted[-1]["outcomes"], counted[-1]  # strangers are users, and show their key
    verdict = json.loads((one.folder / "verdict.json").read_text())
    (accounting,) = [one for one in verdict["findings"] if one["check"] == "accounting"]
    assert accounting["outcome"] == "pass", accounting
    assert not one.owned()
