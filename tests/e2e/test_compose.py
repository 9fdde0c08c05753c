"""The container stack: the same faults, on real containers. Needs a Docker engine and the images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Start, Started

ROOT = Path(__file__).parent.parent.parent


def missing() -> str | None:
    """What this machine lacks; None: nothing."""
    docker = shutil.which("docker")
    if docker is None:
        return "docker is not installed"
    if subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        return "no Docker engine answers"
    image = subprocess.run(
        [docker, "image", "inspect", "reliability-harness/target:local"], capture_output=True, check=False
    )
    return None if image.returncode == 0 else "the images are not built: harness images"


MISSING = missing()
pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

FAULTS = {  # -> what must be among its evidence
    "{kind: process.pause, for_s: 4}": "state T",
    "{kind: network.latency, on: gateway, at_s: 9, for_s: 4, latency_ms: 700}": "ms later than past the proxy",
    "{kind: weights.bit_flip, at_s: 15, for_s: 8}": "so does standby, from the same copy",
}
SCENARIO = f"""
name: contained
target: {{model_copies: shared, gateway: {{api_keys: on}}, each: {{standby: {{register: on, follow: primary}}}}}}
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 20}}
faults: [{", ".join(FAULTS)}]
observe: {{lost_requests: {{max: 100000}}}}
"""


def things_of(run_id: str) -> list[str]:
    """Containers, networks and volumes that carry the run's label."""
    label = f"label=reliability-harness.run={run_id}"
    found = []
    for kind in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        done = subprocess.run(["docker", *kind, "-q", "--filter", label], capture_output=True, text=True, check=True)
        found += done.stdout.split()
    return found


def events(one: Started) -> list[dict[str, object]]:
    return [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]


def test_each_fault_bites_in_a_container_is_healed_and_leaves_nothing(start: Start) -> None:
    one = start(SCENARIO, stack="compose")
    assert one.process.wait(timeout=200) in (0, 3), one.said()
    proofs = {event["fault"]: event for event in events(one) if event["kind"] == "fault_proof"}
    for number, (fault, words) in enumerate(FAULTS.items()):
        assert proofs[number]["proven"], (fault, proofs[number])
        assert words in str(proofs[number]["evidence"]), (fault, proofs[number])
    seen = re.search(r"came ([\d,]+) ms later", str(proofs[1]["evidence"]))
    assert seen and int(seen[1].replace(",", "")) >= 630, proofs[1]  # nine tenths of what was asked for
    assert {event["fault"] for event in events(one) if event["kind"] == "fault_healed"} == {0, 1, 2}
    counted = [event for event in events(one) if event["kind"] == "counters" and event["source"] == "gateway"]
    outcomes, replicas = counted[-1]["outcomes"], counted[-1]["replicas"]
    assert outcomes["answered"] > 50 and "unauthorized" not in outcomes, counted[-1]  # type: ignore[index,operator]
    assert replicas["standby"]["lease_left_s"] is not None, counted[-1]  # type: ignore[index]
    assert not (one.folder / "stack" / "private-gateway").exists()
    assert things_of(one.folder.name) == []
    assert not one.owned()


def test_a_killed_server_is_restarted_by_the_engine_and_its_evidence_is_kept(start: Start) -> None:
    one = start((ROOT / "scenarios" / "death-and-supervision" / "kill-primary.yaml").read_text(), stack="compose")
    assert one.process.wait(timeout=200) in (0, 1, 3), one.said()  # how fast it recovers is the machine's affair
    verdict = json.loads((one.folder / "verdict.json").read_text())
    (episode,) = verdict["episodes"]
    assert episode["proven"] and "terminated by SIGKILL" in episode["proof"], (episode, one.said())
    kinds = [(event["kind"], event.get("replica")) for event in events(one)]
    assert kinds.index(("target.exited", "primary")) < len(kinds) - kinds[::-1].index(("target.started", "primary")) - 1
    known = json.loads((one.folder / "stack" / "inspect.json").read_text())
    assert known["primary"]["RestartCount"] == 1
    assert known["primary"]["HostConfig"]["CapDrop"] == ["ALL"]
    assert (one.folder / "stack" / "primary.log").read_text().count("listening on") == 2
    logs = {path.name: path.read_text().splitlines() for path in (one.folder / "stack" / "logs").glob("*.access.log")}
    assert set(logs) >= {"gateway.access.log", "replica-primary.access.log", "replica-standby.access.log"}
    assert 200 in {json.loads(line).get("status") for line in logs["gateway.access.log"]}  # whoever left has none
    assert verdict["log_evidence"]["windows"] > 0, verdict["log_evidence"]
