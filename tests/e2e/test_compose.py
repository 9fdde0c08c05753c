"""The container stack: the same faults, on real containers. Needs a Docker engine and the images."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
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

EVIDENCE = {
    "process.pause, for_s: 4": "state T",
    "weights.bit_flip, for_s: 8": "so does standby, from the same copy",
    "network.latency, for_s: 4, latency_ms: 700": "",
}


def scenario(fault: str) -> str:
    copies = "shared" if fault.startswith("weights.") else "own"
    return f"""
name: contained
target: {{model_copies: {copies}}}
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 20}}
faults: [{{kind: {fault}}}]
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


@pytest.mark.shared
@pytest.mark.parametrize("fault", sorted(EVIDENCE))
def test_each_fault_bites_in_a_container_is_healed_and_leaves_nothing(start: Start, fault: str) -> None:
    one = start(scenario(fault), stack="compose")
    assert one.process.wait(timeout=200) in (0, 3), one.said()
    (episode,) = json.loads((one.folder / "verdict.json").read_text())["episodes"]
    assert episode["proven"], (episode, one.said())
    assert EVIDENCE[fault] in episode["proof"]
    assert any(event["kind"] == "fault_healed" for event in events(one))
    assert things_of(one.folder.name) == []
    assert not one.owned()


@pytest.mark.shared
def test_a_killed_server_is_restarted_by_the_engine_and_its_evidence_is_kept(start: Start) -> None:
    one = start((ROOT / "scenarios" / "kill-primary.yaml").read_text(), stack="compose")
    assert one.process.wait(timeout=200) in (0, 1, 3), one.said()  # how fast it recovers is the machine's affair
    (episode,) = json.loads((one.folder / "verdict.json").read_text())["episodes"]
    assert episode["proven"] and "terminated by SIGKILL" in episode["proof"], (episode, one.said())
    kinds = [(event["kind"], event.get("replica")) for event in events(one)]
    assert kinds.index(("target.exited", "primary")) < len(kinds) - kinds[::-1].index(("target.started", "primary")) - 1
    known = json.loads((one.folder / "stack" / "inspect.json").read_text())
    assert known["primary"]["RestartCount"] == 1
    assert known["primary"]["HostConfig"]["CapDrop"] == ["ALL"]
    assert (one.folder / "stack" / "primary.log").read_text().count("listening on") == 2


def test_when_the_harness_is_killed_nothing_of_the_run_is_left_after_ten_seconds(start: Start) -> None:
    one = start(scenario("process.pause, for_s: 15"), stack="compose")
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        if (
            one.out.exists()
            and any(one.out.glob("*/events.jsonl"))
            and '"fault_begin"' in (one.folder / "events.jsonl").read_text()
        ):
            break
        time.sleep(0.05)
    run_id = one.folder.name
    assert things_of(run_id), one.said()
    one.process.kill()
    one.process.wait()
    died_s = time.monotonic()
    while (things_of(run_id) or one.owned()) and time.monotonic() < died_s + 10:
        time.sleep(0.1)
    assert things_of(run_id) == []
    assert not one.owned()
