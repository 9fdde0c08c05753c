"""The primary's server is killed again and again at 50 requests a second, with every protection on.

How soon has the kernel ended it, how soon are users served again, and how many requests were lost? Between two kills
the container is up for longer than the 10 s within which the engine would delay its next restart. When the engine says
that a container has ended is told as well: a tenth of a second later, in which its own shim reports to it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.analysis.intervals import recovery_quantile
from tests.bench.container_run import ContainerRun, container_run
from tests.bench.figure import Figure, Goal

TRIALS = 20
LOOK_MS = 100  # for the pid of the next process; an end is seen at once
STARTED = '"target.started"'
BEAT_S, MISSED_BEATS = 0.25, 3  # of the gateway, as it comes
KILL = Goal("container_kill_latency_ms_p95", "<=", 100, "ms")
HARDENED = Goal("container_takeover_hardened_s_p50", "<=", MISSED_BEATS * BEAT_S + 0.3, "s")
GOALS = (KILL, HARDENED)
SCENARIO = """
name: takeover
target: {{protection: {protection}}}
load: {{rate_per_s: 50, mix: {{sentiment: 1}}}}
phases: {{baseline_s: 10, recovery_s: 30}}
episodes: {trials}
faults: [{{kind: process.kill}}]
"""


def figures(trials: int = TRIALS) -> list[Figure]:
    run = container_run(SCENARIO.format(protection="hardened", trials=trials), ends_of_primary)
    origin_s = run.history.header.origin_monotonic_s
    kills_ms = [1000 * seconds for seconds in kill_latencies_s(run, [end_s - origin_s for end_s in run.watched])]
    if len(kills_ms) < trials:
        raise RuntimeError(f"{len(kills_ms)} of {trials} kills were seen in the kernel")
    told_s = [event.at_s for event in run.history.events if event.kind == "target.exited"]
    told_ms = [1000 * seconds for seconds in kill_latencies_s(run, told_s)]
    unproven = [one.number for one in run.verdict.episodes if not one.proven]
    if unproven:
        raise RuntimeError(f"no proof of the kill in episodes {unproven}")
    recovery = recovery_quantile([one.recovery_s for one in run.verdict.episodes], 0.5, 0.95)
    lost = [one.lost_requests for one in run.verdict.episodes]
    print(f"container takeover: lost per episode {sorted(lost)}", file=sys.stderr)
    if recovery.value is None:
        raise RuntimeError(f"the median recovery of {trials} trials: {recovery.method}")
    spread = f"95 % bounds {recovery.low}–{recovery.high} s of {trials}; lost per episode {statistics.median(lost):g}"
    return [
        KILL.figure(
            quantile(kills_ms, 0.95), f"median {statistics.median(kills_ms):.1f} of {len(kills_ms)}; {_told(told_ms)}"
        ),
        HARDENED.figure(recovery.value, f"{spread}, at most {max(lost)}"),
    ]


def kill_latencies_s(run: ContainerRun, ends_s: Sequence[float]) -> list[float]:
    """From the record of the order to the end that follows, for each kill. `ends_s`: on the run's clock."""
    begins_s = [event.at_s for event in run.history.events if event.kind == "fault_begin"]
    after = [[end_s - begin_s for end_s in ends_s if end_s >= begin_s] for begin_s in begins_s]
    return [min(found) for found in after if found]


def ends_of_primary(process: subprocess.Popen[str], out: Path) -> list[float]:
    """On the host's monotonic clock: when each process that served as the primary ended, as the kernel tells."""
    ends_s: list[float] = []
    known: set[int] = set()
    waiting = select.poll()
    while process.poll() is None:
        for pid in _pids_of_primary(out) - known:
            known.add(pid)
            with contextlib.suppress(ProcessLookupError):
                waiting.register(os.pidfd_open(pid), select.POLLIN)
        for pidfd, _ in waiting.poll(LOOK_MS):
            ends_s.append(time.monotonic())
            waiting.unregister(pidfd)
            os.close(pidfd)
    return ends_s


def _pids_of_primary(out: Path) -> set[int]:
    lines = [line for file in out.glob("*/events.jsonl") for line in file.read_text().splitlines() if STARTED in line]
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return {event["pid"] for event in events if event.get("replica") == "primary" and event.get("pid")}


def _told(told_ms: Sequence[float]) -> str:
    return f"the engine said so after {statistics.median(told_ms):.0f}, at most {max(told_ms):.0f}"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
