"""Containers that are not the harness's own: a compose project that opted in, from `harness init --compose` on.

Needs a Docker engine and the image of the container stack, which serves as the project's and as the Toxiproxy's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.stack.ports import HeldPorts
from tests.e2e.conftest import Start, events_of, until
from tests.e2e.test_compose import MISSING, things_of

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

EXAMPLE = Path(__file__).parents[2] / "scenarios" / "examples" / "compose-project"
IMAGE = "reliability-harness/target:local"
# The image of the container stack holds our Toxiproxy, and this machine may have no registry to pull another one from.
PROXY = {
    "services": {
        "harness-toxiproxy": {
            "entrypoint": ["python3", "-m", "harness.toxics"],
            "command": ["-host=0.0.0.0", "-port=8474", "-config=/toxiproxy.json", "--pass-reset"],
        }
    }
}


def first_pid() -> int:
    command = ["docker", "inspect", "--format", "{{.State.Pid}}", "harness-example-llm-1"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def server_state() -> str:
    pid = first_pid()
    server = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    return Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0]


def _toxiproxy_answers() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8474/version", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example's project, up with the override that the harness wrote for it."""
    folder = tmp_path_factory.mktemp("examples") / "compose-project"
    shutil.copytree(EXAMPLE, folder)
    shutil.copytree(EXAMPLE.parent / "own-service", folder.parent / "own-service")
    assert call(["init", "--compose", str(folder / "compose.yaml")]) == 0
    (folder / "proxy.json").write_text(json.dumps(PROXY))
    held = HeldPorts(1)
    environ = {
        **os.environ,
        "EXAMPLE_IMAGE": IMAGE,
        "HARNESS_TOXIPROXY_IMAGE": IMAGE,
        "EXAMPLE_PORT": str(held.ports[0]),
    }
    held.forget()
    files = [part for name in ("compose.yaml", "compose.harness.yaml", "proxy.json") for part in ("-f", name)]
    compose = ["docker", "compose", *files]
    try:
        done = subprocess.run(
            [*compose, "up", "-d"], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        until(_toxiproxy_answers, 60)
        yield folder
    finally:
        down = [*compose, "down", "--timeout", "2", "--volumes"]
        subprocess.run(down, cwd=folder, env=environ, capture_output=True, check=True)


@pytest.fixture(autouse=True)
def _agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_YES", "1")


def test_the_example_hits_the_containers_that_opted_in_and_their_hop(project: Path, start: Start) -> None:
    one = start((project / "scenario.yaml").read_text(), stack="external")
    assert one.process.wait(timeout=120) in (0, 3), one.said()
    events = events_of(one)
    proofs = {e["fault"]: str(e["evidence"]) for e in events if e["kind"] == "fault_proof" and e["proven"]}
    assert "link to llm: an answer came" in proofs[0], one.said()
    assert "is in state T (stopped)" in proofs[1]
    assert "terminated by SIGKILL" in proofs[2]
    assert {e["fault"] for e in events if e["kind"] == "fault_healed"} == {0, 1, 2}
    assert any(e["kind"] == "target.started" and e["replica"] == "llm" for e in events), "its engine restarted it"
    verdict = json.loads((one.folder / "verdict.json").read_text())
    assert verdict["episodes"][0]["restarts"] == 1
    assert not one.owned() and not things_of(one.folder.name)


def test_a_paused_container_goes_on_when_harness_and_guard_are_both_dead(project: Path, start: Start) -> None:
    until(lambda: server_state() != "T", 10)
    text = (project / "scenario.yaml").read_text().split("faults:")[0]
    text = text.replace("baseline_s: 6", "baseline_s: 2").replace("warmup_max_s: 8", "warmup_max_s: 0")
    one = start(f"{text}faults:\n  - {{kind: process.pause, on: llm, for_s: 3}}\n", stack="external")
    until(lambda: server_state() == "T", 60)
    run_id = one.folder.name
    helpers = things_of(run_id)
    assert len(helpers) == 1, "its end was armed before it was paused"
    guards = [pid for pid in _pids() if run_id.encode() in _command(pid) and b"harness.guard" in _command(pid)]
    assert len(guards) == 1
    os.kill(guards[0], 9)
    one.process.kill()
    one.process.wait()
    assert server_state() == "T"
    until(lambda: server_state() != "T", 3 + 5 + 5)
    until(lambda: not things_of(run_id), 10)
    left = subprocess.run(
        [sys.executable, "-m", "harness.cli", "undo"], env={**os.environ, "XDG_STATE_HOME": str(one.state)}, check=False
    )
    assert left.returncode == 0
    assert not one.owned()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
