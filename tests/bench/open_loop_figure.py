"""1,000 requests a second for a minute, one in ten a stream: is every one accounted for, and how late is it sent?"""

from __future__ import annotations

import sys

from tests.bench.figure import Figure, Goal
from tests.bench.open_loop import measure

ACCOUNTED = Goal("open_loop_accounted", ">=", 1)
LAG = Goal("open_loop_lag_ms_p99", "<=", 3, "ms")
GOALS = (ACCOUNTED, LAG)


def figures() -> list[Figure]:
    seen = measure()
    print(f"open_loop: {seen}", file=sys.stderr)
    share = seen["ended"] / seen["scheduled"]
    lags = f"p50 {seen['dispatch_lag_ms_p50']:.2f}, p99.9 {seen['dispatch_lag_ms_p999']:.2f} ms"
    return [
        ACCOUNTED.figure(share if seen["accounted"] else min(share, 1 - 1 / seen["scheduled"])),
        LAG.figure(seen["dispatch_lag_ms_p99"], lags),
    ]
