"""The guard outlives its owner by just long enough to heal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults.inverse import sha256_of
from harness.guard import ProcessGuard
from harness.record.journal import Inverse, Journal
from harness.stack.owned import RUN_LABEL, identify
from harness.store.registry import LiveRun, Registry

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent

OWNER = """
import os, subprocess, sys, time
from pathlib import Path
from harness.guard import ProcessGuard
from harness.stack.owned import RUN_LABEL, identify
from harness.store.registry import LiveRun, Registry
folder, run_id = sys.argv[1], sys.argv[2]
me = identify(os.getpid())
registry = Registry(Path(folder) / "live")
run = LiveRun(run_id, folder, me.pid, me.started)
registry.add(run)
guard = ProcessGuard(run, registry, os.environ)
guard.start()
guard.confirm()
target = subprocess.Popen(["sleep", "100"], env={**os.environ, RUN_LABEL: run_id}, start_new_session=True)
print(guard._process.pid, target.pid, flush=True)
time.sleep(100)
"""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def damaged(folder: Path) -> Path:
    """A file with its intent to be restored."""
    file, snapshot = folder / "weights", folder / "snapshot"
    file.write_bytes(b"damaged")
    snapshot.write_bytes(b"pristine")
    args = {"path": str(file), "snapshot": str(snapshot), "sha256": sha256_of(snapshot), "root": str(folder)}
    journal = Journal(folder / "undo.jsonl")
    journal.intend(Inverse("file.restore", args))
    journal.close()
    return file


def test_it_heals_and_clears_when_its_owner_is_killed_whatever_a_terminal_sent_it_before(tmp_path: Path) -> None:
    file = damaged(tmp_path)
    run_id = f"guard-test-{os.getpid()}"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), run_id], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert owner.stdout is not None
    guard_pid, target_pid = (int(pid) for pid in owner.stdout.readline().split())
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(guard_pid, name)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert within(10, lambda: identify(target_pid) is None)
    assert file.read_bytes() == b"pristine"
    assert within(5, lambda: Registry(tmp_path / "live").runs() == [])
    assert within(5, lambda: identify(guard_pid) is None)
    assert "died" in (tmp_path / "guard.log").read_text()


def test_it_heals_when_its_owner_died_before_it_could_even_say_that_it_watches(tmp_path: Path) -> None:
    file = damaged(tmp_path)
    run_id = f"guard-early-{os.getpid()}"
    at_once = OWNER.replace("guard.confirm()", "os.kill(os.getpid(), 9)")
    owner = subprocess.run([sys.executable, "-c", at_once, str(tmp_path), run_id], cwd=ROOT, check=False)
    assert owner.returncode == -signal.SIGKILL
    assert within(10, lambda: file.read_bytes() == b"pristine")
    assert within(5, lambda: Registry(tmp_path / "live").runs() == [])


def test_a_disarmed_guard_ends_and_touches_nothing(tmp_path: Path) -> None:
    file = damaged(tmp_path)
    me = identify(os.getpid())
    assert me is not None
    run, registry = LiveRun("guarded", str(tmp_path), me.pid, me.started), Registry(tmp_path / "live")
    registry.add(run)
    guard = ProcessGuard(run, registry, {**os.environ, RUN_LABEL: "guarded"})
    guard.start()
    guard.confirm()
    assert guard.alive()
    guard.disarm()
    guard.disarm()
    assert not guard.alive()
    assert file.read_bytes() == b"damaged"
    assert registry.runs() == [run]
