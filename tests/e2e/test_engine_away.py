"""The Docker engine goes away in the middle of a run: a clear error, inconclusive, and clean-up once it is back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.container_kills import hashes, things_of, within
from tests.e2e.conftest import ROOT, Start, Started
from tests.e2e.test_compose import MISSING, events
from tests.engine_relay import Relay

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]
PID_FILE = Path("/var/run/docker.pid")
MAY_STOP = "HARNESS_TEST_MAY_STOP_ENGINE"  # where nobody else uses the engine
SCENARIO = """
name: engine-away
load: {rate_per_s: 5, mix: {sentiment: 1}}
warmup_max_s: 0
phases: {baseline_s: 2, recovery_s: 10}
faults:
  - {kind: process.pause, on: primary, for_s: 20}
  - {kind: network.latency, on: gateway, for_s: 20, latency_ms: 300}
"""


def away_in_the_middle(one: Started, model: Path, away: Callable[[], None], back: Callable[[], None]) -> None:
    before = hashes(model)
    within(150.0, lambda: recorded(one).count('"kind":"fault_begin"') == 2 or one.process.poll() is not None)
    assert one.process.poll() is None, one.said()
    run_id = one.folder.name
    away()
    try:
        assert one.process.wait(timeout=90) == 3, one.said()
        (broken,) = [event for event in events(one) if event["kind"] == "broken"]
        assert "ngine" in str(broken["reason"]) and "Traceback" not in one.said(), broken
        assert json.loads((one.folder / "verdict.json").read_text())["outcome"] == "inconclusive"
        assert any(event["kind"] == "cleanup_failed" for event in events(one))
        live = one.state / "reliability-harness" / "live" / f"{run_id}.json"
        assert live.exists(), "a run that is not cleaned up stays registered"
    finally:
        back()
    within(20.0, lambda: not things_of(run_id) and not one.owned() and not live.exists())
    assert hashes(model) == before


def recorded(one: Started) -> str:
    return "".join(path.read_text() for path in one.out.glob("*/events.jsonl"))


def test_an_engine_that_cannot_be_reached_any_more_ends_the_run_which_is_cleaned_up_when_it_can(
    start: Start, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # a path short enough for a socket
        relay = Relay(Path(folder) / "s")
        monkeypatch.setenv("DOCKER_HOST", relay.address)
        one = start(SCENARIO, stack="compose")
        monkeypatch.delenv("DOCKER_HOST")
        away_in_the_middle(one, model_folder, relay.cut, relay.mend)
        relay.cut()


@pytest.mark.alone
@pytest.mark.skipif(os.environ.get(MAY_STOP) != "1", reason=f"{MAY_STOP}=1 lets it stop this machine's Docker engine")
def test_a_daemon_that_is_stopped_ends_the_run_which_is_cleaned_up_when_it_is_back(
    start: Start, model_folder: Path
) -> None:
    def stop() -> None:
        pid = int(PID_FILE.read_text())
        os.kill(pid, signal.SIGTERM)
        within(60.0, lambda: not PID_FILE.exists() or not Path(f"/proc/{pid}").exists())

    def start_again() -> None:
        subprocess.run([str(ROOT / ".ci" / "docker-engine")], check=True, timeout=120)

    away_in_the_middle(start(SCENARIO, stack="compose"), model_folder, stop, start_again)
