"""The primary's server is killed again and again at 50 requests a second, with every protection on.

How soon does the kernel end it, how soon are users served again, and how many requests were lost? Between two kills the
container is up for longer than the 10 s within which the engine would delay its next restart.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence

from harness.analysis.intervals import recovery_quantile
from tests.bench.container_run import ContainerRun, container_run
from tests.bench.figure import Figure, Goal

TRIALS = 20
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
    run = container_run(SCENARIO.format(protection="hardened", trials=trials))
    kills_ms = [1000 * seconds for seconds in kill_latencies_s(run)]
    if len(kills_ms) < trials:
        raise RuntimeError(f"{len(kills_ms)} of {trials} kills were seen by the engine")
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
        KILL.figure(quantile(kills_ms, 0.95), f"median {statistics.median(kills_ms):.1f} of {len(kills_ms)}"),
        HARDENED.figure(recovery.value, f"{spread}, at most {max(lost)}"),
    ]


def kill_latencies_s(run: ContainerRun) -> list[float]:
    """From the record of the order to the end of the container, as the engine stamps it, for each kill."""
    found = []
    for begin in (event for event in run.history.events if event.kind == "fault_begin"):
        ends = [e.at_s for e in run.history.events if e.kind == "target.exited" and e.at_s >= begin.at_s]
        if ends:
            found.append(min(ends) - begin.at_s)
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
