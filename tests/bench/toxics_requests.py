"""How many keep-alive requests a second are left through the proxy without a toxic? wrk, 32 connections, ratios.

Direct and proxied alternate, so that what else the machine does hits both; the median of the pairs' ratios counts.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys

from tests.bench.figure import Figure, Goal, span
from tests.bench.toxics_world import world

REAL = Goal("toxics_requests_ratio_aiohttp", ">=", 0.95)
BARE = Goal("toxics_requests_ratio_bare", ">=", 0.42)
GOALS = (REAL, BARE)
PAIRS, SECONDS = 7, 4


def figures() -> list[Figure]:
    if shutil.which("wrk") is None:
        print("toxics_requests: wrk is not installed", file=sys.stderr)
        return [goal.not_measured() for goal in GOALS]
    return [_measure(goal, kind) for goal, kind in ((REAL, "aiohttp"), (BARE, "bare"))]


def _measure(goal: Goal, kind: str) -> Figure:
    ratios = []
    with world(kind) as one:
        _requests_per_s(one.proxied, 1)
        for _ in range(PAIRS):
            direct, proxied = (_requests_per_s(port, SECONDS) for port in (one.direct, one.proxied))
            print(f"toxics_requests {kind}: {direct:.0f}/s direct, {proxied:.0f}/s proxied", file=sys.stderr)
            ratios.append(proxied / direct)
    return goal.figure(statistics.median(ratios), span(ratios))


def _requests_per_s(port: int, seconds: int) -> float:
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None or "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    return float(found[1])
