"""What does the harness itself cost while nothing breaks, at 20 requests a second to a container stack?

Processor time of the harness, its guard and its load generator, from the schedule's begin for half a minute, over that
time. The target's containers are the engine's children, not the harness's, so they are not in it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.bench.container_run import container_run
from tests.bench.figure import Figure, Goal

SECONDS = 30.0
START_S = 180.0
GOALS = (Goal("container_idle_share_of_a_core", "<=", 0.15),)
SCENARIO = """
name: idle
load: {{rate_per_s: 20, mix: {{chat_stream: 0.7, sentiment: 0.3}}}}
phases: {{baseline_s: {baseline_s}, recovery_s: 1}}
"""


def figures(seconds: float = SECONDS) -> list[Figure]:
    def watch(process: subprocess.Popen[str], out: Path) -> tuple[float, dict[str, float]]:
        _wait_for(process, out)
        before, begin_s = _spent_s(process.pid), time.monotonic()
        time.sleep(seconds)
        after, took_s = _spent_s(process.pid), time.monotonic() - begin_s
        return took_s, {name: after[name] - before.get(name, 0.0) for name in after}

    run = container_run(SCENARIO.format(baseline_s=seconds + 10), watch)
    took_s, spent_s = run.watched
    parts = ", ".join(f"{name} {spent / took_s:.3f}" for name, spent in sorted(spent_s.items()))
    print(f"container idle: {parts}", file=sys.stderr)
    return [GOALS[0].figure(sum(spent_s.values()) / took_s, parts)]


def _wait_for(process: subprocess.Popen[str], out: Path) -> None:
    end_s = time.monotonic() + START_S
    while not any('"schedule_begin"' in path.read_text() for path in out.glob("*/events.jsonl")):
        if process.poll() is not None or time.monotonic() > end_s:
            raise RuntimeError("the schedule did not begin")
        time.sleep(0.1)


def _spent_s(pid: int) -> dict[str, float]:
    """Processor seconds of the harness, and of each kind of process that it has started."""
    harness = psutil.Process(pid)
    spent: dict[str, float] = {}
    for one in [harness, *harness.children(recursive=True)]:
        try:
            words, times = " ".join(one.cmdline()), one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        name = "harness" if one.pid == pid else "guard" if "harness.guard" in words else "load"
        spent[name] = spent.get(name, 0.0) + times.user + times.system
    return spent
