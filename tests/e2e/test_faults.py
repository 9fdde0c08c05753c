"""Every fault bites: on real processes, on a real model, under real load."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from harness.model.exec_fault import ExecFault
from harness.model.faults import FAULTS
from harness.model.network_faults import NetworkFault
from harness.model.resource_faults import ResourceFault
from harness.model.service_faults import ServiceFault
from harness.model.traffic_faults import TrafficFault
from tests.e2e.conftest import Start
from tests.e2e.test_container_faults import TRIED_HERE as TRIED_THERE

pytestmark = [pytest.mark.e2e, pytest.mark.model]

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
REPLICAS = ("primary", "standby")
KINDS = sorted(EVIDENCE)
PAIRS = [
    KINDS[at : at + len(REPLICAS)] for at in range(0, len(KINDS), len(REPLICAS))
]  # one on each replica of a run: half as many stacks to start
PROTECTIONS = {"process.kill": "fragile"}  # by the first fault of a run; the others have the default


def test_every_fault_is_tried_here_or_with_those_of_other_families() -> None:
    others = (NetworkFault, ServiceFault, ExecFault, TrafficFault, ResourceFault, *TRIED_THERE)
    here = {kind for kind, cls in FAULTS.items() if not issubclass(cls, others)}
    assert here - {"weights.permissions"} == set(EVIDENCE)


@pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
def test_each_fault_is_proven_by_evidence_from_outside_and_is_healed(start: Start, kinds: Sequence[str]) -> None:
    lasting = {kind: "" if kind in ("process.kill", "process.stop") else ", for_s: 14" for kind in kinds}
    asked = [f"{{kind: {kind}, on: {on}{lasting[kind]}}}" for kind, on in zip(kinds, REPLICAS, strict=False)]
    one = start(f"""
name: bite
target: {{protection: {PROTECTIONS.get(kinds[0], "default")}}}
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 14}}
faults: [{", ".join(asked)}]
observe: {{lost_requests: {{max: 100000}}}}
""")
    assert one.process.wait(timeout=150) in (0, 3), one.said()
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]
    proofs = {event["fault"]: event["evidence"] for event in events if event["kind"] == "fault_proof"}
    for number, kind in enumerate(kinds):
        assert re.search(EVIDENCE[kind], proofs.get(number, "")), (kind, proofs, one.said())
    healed = {event["fault"] for event in events if event["kind"] == "fault_healed"}
    assert healed == set(range(len(kinds))), [e for e in events if "fault" in e["kind"]]
    verdict = json.loads((one.folder / "verdict.json").read_text())
    # However well it is protected, a target that nothing has hit yet answers.
    (baseline,) = [phase for phase in verdict["phases"] if phase["phase"] == "baseline"]
    assert baseline["outcomes"]["http_error"] < 0.1 * baseline["requests"], baseline  # a slow host may shed one
    assert baseline["outcomes"]["ok"] > 0, baseline
    used = verdict["resources"]  # nothing without a Prometheus
    engines = {row["source"]: row["engine_mb_max"] for row in used}
    assert not used or all(engines[name] > 100 for name in REPLICAS), used
    assert not one.owned()
