"""Ctrl-C, once and twice; `harness stop`; and `harness undo` when not even the guard is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Start, Started
from tests.e2e.test_sigkill import PAUSE, seconds_until, stopped

pytestmark = [pytest.mark.e2e, pytest.mark.model]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("when", ["plan ", "baseline ", "fault "])
def test_ctrl_c_heals_cleans_up_and_judges_what_there_is(start: Start, when: str, times: int) -> None:
    one = start(PAUSE)
    seconds_until(lambda: when in one.said(), 60.0)
    for _ in range(times):
        os.kill(one.process.pid, signal.SIGINT)
    assert one.process.wait(timeout=30) == 3, one.said()
    assert "Traceback" not in one.said()
    assert "INCONCLUSIVE" in one.said()
    assert not one.owned()
    assert (one.folder / "verdict.json").exists()


def harness(one: Started, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    environ = {**os.environ, "XDG_STATE_HOME": str(one.state)}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)


def guard_of(one: Started) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"harness.guard" in words and str(one.folder).encode() in words:
                return int(entry.name)
    raise AssertionError("the run has no guard")


def test_stop_ends_a_live_run_in_good_order(start: Start) -> None:
    one = start(PAUSE)
    seconds_until(lambda: "fault " in one.said(), 60.0)
    done = harness(one, "stop")
    assert f"asked {one.folder.name} to stop" in done.stdout, done.stderr
    assert one.process.wait(timeout=30) == 3
    assert "INCONCLUSIVE" in one.said()
    assert not one.owned()


def test_undo_heals_and_clears_when_harness_and_guard_were_both_killed(start: Start) -> None:
    one = start(PAUSE)
    seconds_until(lambda: bool(stopped(one.owned())), 60.0)
    refused = harness(one, "undo")
    assert refused.returncode == 2
    assert "is still running" in refused.stderr
    os.kill(guard_of(one), signal.SIGKILL)
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait()
    assert stopped(one.owned())
    done = harness(one, "undo")
    assert done.returncode == 0, done.stderr
    assert "faults healed" in done.stdout
    assert not one.owned()
    assert "no run is alive" in harness(one, "undo").stdout


def test_a_run_whose_guard_dies_ends_itself_and_is_inconclusive(start: Start) -> None:
    one = start(PAUSE)
    seconds_until(lambda: "fault " in one.said(), 60.0)
    os.kill(guard_of(one), signal.SIGKILL)
    assert one.process.wait(timeout=30) == 3, one.said()
    assert "the guard died" in one.said()
    assert not one.owned()
