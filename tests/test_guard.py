"""The guard outlives its owner by just long enough to heal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults.inverse import sha256_of
from harness.guard import ProcessGuard
from harness.record.journal import Inverse, Journal
from harness.stack.containers.project import OVERRIDE, RUN
from harness.stack.owned import RUN_LABEL, identify
from harness.store.registry import LiveRun, Registry
from tests.stack.stub_engine import StubEngine, serving

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


def contained(folder: Path, run_id: str) -> StubEngine:
    """A run on the container stack, as far as its folder says, and an engine that has its container."""
    (folder / "stack").mkdir()
    (folder / "stack" / OVERRIDE).write_text("{}")
    return StubEngine({"mine": {RUN: run_id}, "other": {RUN: "another"}})


def test_it_waits_for_an_engine_that_is_away_and_removes_the_containers_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = f"guard-engine-{os.getpid()}"
    engine = contained(tmp_path, run_id)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/s")
        at_once = OWNER.replace("guard.confirm()", "guard.confirm(); os.kill(os.getpid(), 9)")
        subprocess.run([sys.executable, "-c", at_once, str(tmp_path), run_id], cwd=ROOT, check=False)
        log = tmp_path / "guard.log"
        assert within(10, lambda: "no Docker engine answers" in log.read_text()), log.read_text()
        assert Registry(tmp_path / "live").runs()
        with serving(engine, Path(folder) / "s"):
            assert within(10, lambda: Registry(tmp_path / "live").runs() == []), log.read_text()
    assert set(engine.containers) == {"other"}


def test_what_a_living_owner_could_not_clean_up_is_handed_over_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = identify(os.getpid())
    assert me is not None
    engine = contained(tmp_path, "handed-over")
    run, registry = LiveRun("handed-over", str(tmp_path), me.pid, me.started), Registry(tmp_path / "live")
    registry.add(run)
    with tempfile.TemporaryDirectory() as folder, serving(engine, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        guard = ProcessGuard(run, registry, os.environ)
        guard.start()
        guard.confirm()
        guard.hand_over()
        assert not guard.alive()
        assert within(10, lambda: registry.runs() == [])
    assert set(engine.containers) == {"other"}
