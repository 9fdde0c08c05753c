"""The watchdog: progress, not liveness, and time that the process itself was away does not count."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from target_service.replica.settings import parse_arguments
from target_service.replica.watchdog import ProgressWatch, Watchdog

ROOT = Path(__file__).parents[3]


@dataclass
class Engine:
    busy: bool = True
    steps_total: int = 0
    died: bool = False


def looks(engine: Engine, seconds: int, *, steps_per_s: int = 0) -> tuple[Watchdog, list[str]]:
    tripped: list[str] = []
    watchdog = Watchdog(engine, 5.0, lambda: tripped.append("tripped"))
    for quarter in range(4 * seconds):
        engine.steps_total += steps_per_s
        if watchdog.look(100 + quarter / 4):
            break
    return watchdog, tripped


def test_an_engine_with_work_and_no_step_trips_it_once() -> None:
    assert looks(Engine(), 6)[1] == ["tripped"]


def test_it_waits_for_the_whole_limit() -> None:
    assert looks(Engine(), 5)[1] == []


def test_a_busy_engine_that_steps_is_left_alone() -> None:
    assert looks(Engine(), 60, steps_per_s=1)[1] == []


def test_an_idle_engine_makes_no_steps_and_is_left_alone() -> None:
    assert looks(Engine(busy=False), 60)[1] == []


def test_a_dead_engine_needs_no_waiting() -> None:
    assert looks(Engine(busy=False, died=True), 1)[1] == ["tripped"]


def test_work_after_a_long_idle_time_has_the_whole_limit() -> None:
    engine = Engine(busy=False)
    watchdog, tripped = looks(engine, 60)
    engine.busy = True
    watchdog.look(160.0)
    watchdog.look(160.25)
    assert not tripped


def test_a_process_that_was_paused_has_not_stalled() -> None:
    watch = ProgressWatch(gap_s_max=0.5)
    watch.look(0.0, 7, busy=True)
    watch.look(0.25, 7, busy=True)
    # Nothing looked for a minute, so nothing ran for a minute, the engine neither.
    assert watch.look(60.0, 7, busy=True) == pytest.approx(0.75)


def test_by_a_clock_that_is_set_back_it_waits_for_as_much_longer() -> None:
    watchdog, tripped = looks(Engine(), 3)
    for quarter in range(4 * 3590):
        assert not watchdog.look(103 - 3600 + quarter / 4)
    assert tripped == []


@pytest.mark.process
def test_it_looks_by_the_clock_that_it_was_given() -> None:
    tripped = threading.Event()
    watchdog = Watchdog(Engine(), 5.0, tripped.set, itertools.count(100).__next__)
    watchdog._look_s = 0.001
    watchdog.start()
    assert tripped.wait(10), "ten looks are ten seconds by that clock"


def test_it_counts_by_a_clock_that_nobody_can_set_unless_told_otherwise() -> None:
    needed = ["--model", "m", "--port", "1"]
    assert parse_arguments(needed).watchdog.clock == "monotonic"
    assert parse_arguments([*needed, "--watchdog-clock", "wall"]).watchdog.clock == "wall"


def test_it_is_off_by_default_and_exits_70() -> None:
    needed = ["--model", "m", "--port", "1"]
    assert parse_arguments(needed).watchdog.limit_s == 0
    assert parse_arguments(needed).watchdog.exit_code == 70
    assert parse_arguments([*needed, "--engine-death-exit-code", "0"]).watchdog.exit_code == 0


@pytest.mark.process
@pytest.mark.parametrize("exit_code", [70, 0])
def test_the_stacks_of_all_threads_are_in_the_log_and_the_exit_code_is_the_given_one(exit_code: int) -> None:
    program = f"""
import threading, time
from functools import partial
from types import SimpleNamespace
from target_service.replica.watchdog import Watchdog, end_process
def stuck_in_a_kernel():
    time.sleep(60)
threading.Thread(target=stuck_in_a_kernel, daemon=True).start()
engine = SimpleNamespace(busy=True, steps_total=3, died=False)
Watchdog(engine, 0.2, partial(end_process, {exit_code})).start()
time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert ended.returncode == exit_code
    assert "stuck_in_a_kernel" in ended.stderr
