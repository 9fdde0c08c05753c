"""Whenever the harness dies, nothing stays broken and nothing recorded is lost."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.record.journal import pending
from tests.e2e.conftest import ROOT, Start, Started

pytestmark = [pytest.mark.e2e, pytest.mark.model]

MOMENTS = (  # event of the run, seconds after it; "" is the start of the process
    *(("", after_s) for after_s in (0.3, 0.8, 1.2, 1.6)),
    *(("stack_up", after_s) for after_s in (0.0, 0.5, 3.0)),
    *(("target_ready", after_s) for after_s in (0.0, 1.0)),
    *(("schedule_begin", after_s) for after_s in (0.5, 2.5)),
    *(("fault_begin", after_s) for after_s in (0.0, 0.3, 0.6, 1.5, 2.5, 3.9)),
    *(("fault_end", after_s) for after_s in (0.0, 0.5)),
    ("run_end", 0.0),
)
HEALED_S, GONE_S = 5.0, 10.0

PAUSE = """
name: pause
load: {rate_per_s: 10, mix: {chat_stream: 1}}
phases: {baseline_s: 3, recovery_s: 3}
faults: [{kind: process.pause, for_s: 4}]
"""
WEIGHTS = """
name: weights
load: {rate_per_s: 10, mix: {sentiment: 1}}
phases: {baseline_s: 3, recovery_s: 3}
faults: [{kind: weights.bit_flip, for_s: 4, restart_after_s: null}]
"""
NETWORK = """
name: network
load: {rate_per_s: 10, mix: {sentiment: 1}}
phases: {baseline_s: 3, recovery_s: 3}
faults:
  - {kind: network.down, on: gateway, for_s: 4}
  - {kind: network.http_status, on: primary, at_s: 1, for_s: 3}
"""

SERVICE = """
name: service
target: {gateway: {api_keys: on}}
load: {rate_per_s: 10, mix: {chat_stream: 1}}
phases: {baseline_s: 3, recovery_s: 3}
faults:
  - {kind: service.hang, on: primary, for_s: 4}
  - {kind: service.slow_load, on: standby, for_s: 4, slow_load_s: 3}
"""
CASES = [((PAUSE, WEIGHTS, NETWORK)[number % 3], *moment) for number, moment in enumerate(MOMENTS)]
CASES += [(SERVICE, "fault_begin", after_s) for after_s in (0.0, 1.5, 3.9)]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def stopped(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state in "Tt":
            found.append(pid)
    return found


def seconds_until(gone: object, limit_s: float) -> float:
    """How long until `gone()`; fails after the limit."""
    begin_s = time.monotonic()
    while not gone():  # type: ignore[operator]
        assert time.monotonic() - begin_s < limit_s, f"not within {limit_s} s"
        time.sleep(0.05)
    return time.monotonic() - begin_s


def weights_healed(one: Started, pristine: str) -> bool:
    for path in one.out.glob("*/stack/model-*/model.safetensors"):
        try:
            held = path.read_bytes()
        except FileNotFoundError:  # the guard removed the copy a moment ago
            continue
        if hashlib.sha256(held).hexdigest() != pristine:
            return False
    return True


def kill_at(one: Started, event: str, after_s: float) -> None:
    """SIGKILL, so many seconds after an event was recorded; a run that ends before is as good."""

    def recorded() -> bool:
        texts = [path.read_text() for path in one.out.glob("*/events.jsonl")]
        return one.process.poll() is not None or any(f'"kind":"{event}"' in text for text in texts)

    if event:
        seconds_until(recorded, 120.0)
    try:
        one.process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()


@pytest.mark.parametrize("point", range(len(CASES)))
def test_a_killed_harness_leaves_nothing_broken_and_nothing_running(
    start: Start, model_folder: Path, tmp_path: Path, point: int
) -> None:
    before = hashes(model_folder)
    text, event, after_s = CASES[point]
    one = start(text, f"somewhere-{point}")
    kill_at(one, event, after_s)
    if event == "fault_begin":
        assert any('"intend"' in path.read_text() for path in one.out.glob("*/undo.jsonl")), "there was nothing to heal"

    def healed() -> bool:
        left = [entry for folder in one.out.iterdir() for entry in pending(folder / "undo.jsonl")]
        return not left and not stopped(one.owned()) and weights_healed(one, before["model.safetensors"])

    healed_s = seconds_until(healed, HEALED_S)
    seconds_until(lambda: not one.owned(), GONE_S - healed_s)
    live = one.state / "reliability-harness" / "live"
    seconds_until(lambda: not list(live.glob("*.json")), GONE_S)
    assert hashes(model_folder) == before
    assert not list(one.out.glob("*/stack/private*"))

    for folder in one.out.iterdir():
        if (folder / "events.jsonl").exists():
            judged = subprocess.run(
                [sys.executable, "-m", "harness.cli", "judge", str(folder)],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
            assert judged.returncode in (0, 1, 3), judged.stderr
            assert "Traceback" not in judged.stderr


def test_the_next_run_after_a_kill_starts_clean_wherever_its_folder_is(start: Start, tmp_path: Path) -> None:
    first = start(PAUSE, "first")
    seconds_until(lambda: "fault " in first.said(), 60.0)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = start(PAUSE, "elsewhere")
    assert second.process.wait(timeout=120) in (0, 3), second.said()
    assert (second.folder / "report.html").exists()
    assert not first.owned()
    assert not second.owned()
