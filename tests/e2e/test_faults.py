"""Every fault bites: on real processes, on a real model, under real load."""

from __future__ import annotations

import json
import re

import pytest

from harness.model.faults import FAULTS
from harness.model.network_faults import NetworkFault
from harness.model.resource_faults import ResourceFault
from harness.model.service_faults import ServiceFault
from tests.e2e.conftest import Start

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.shared]

EVIDENCE = {
    "process.kill": "terminated by SIGKILL",
    "process.pause": "state T",
    "process.stop": "exit status 0",
    "weights.bit_flip": "altered weights",
    "weights.config": "exit",
    "weights.missing": "exit",
    "weights.nan": "altered weights",
    "weights.prune": "altered weights",
    "weights.quantise": "altered weights",
    "weights.swap_version": "altered weights",
    "weights.tokenizer": "exit",
    "weights.truncate": "altered weights|exit status",  # lost pages are seen in the one who maps them, or kill it first
    "weights.zero_block": "altered weights",
}


def test_every_fault_is_tried_here_or_with_those_of_other_families() -> None:
    others = (NetworkFault, ResourceFault, ServiceFault)
    assert {kind for kind, cls in FAULTS.items() if not issubclass(cls, others)} == set(EVIDENCE)


@pytest.mark.parametrize("kind", sorted(EVIDENCE))
def test_each_fault_is_proven_by_evidence_from_outside_and_is_healed(start: Start, kind: str) -> None:
    lasting = "" if kind in ("process.kill", "process.stop") else ", for_s: 6"
    one = start(f"""
name: bite
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 14}}
faults: [{{kind: {kind}{lasting}}}]
observe: {{lost_requests: {{max: 100000}}}}
""")
    assert one.process.wait(timeout=150) in (0, 3), one.said()
    verdict = json.loads((one.folder / "verdict.json").read_text())
    (episode,) = verdict["episodes"]
    assert episode["proven"], episode
    assert re.search(EVIDENCE[kind], episode["proof"]), episode["proof"]
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]
    assert any(event["kind"] == "fault_healed" for event in events), [e for e in events if "fault" in e["kind"]]
    assert not one.owned()
