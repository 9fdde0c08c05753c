"""The harness is killed at 50 random points of container runs: how long until nothing of them is left?

Where its guard is killed as well, the time counts from the next command.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure, Goal
from tests.container_kills import GONE_S, ROOT, Point, clean_after_s, hashes, kill_at, next_command, points, start

COUNT = 50
GOALS = (Goal("container_kills_clean", ">=", COUNT), Goal("container_kills_clean_after_s_max", "<=", GONE_S, "s"))


def figures(count: int = COUNT) -> list[Figure]:
    seconds: list[float] = []
    for point in points("bench", count):
        try:
            seconds.append(_killed_at(point))
        except AssertionError as error:
            print(f"container kills: {point}: {error}", file=sys.stderr)
    spread = f"median {statistics.median(seconds):.1f} s of {len(seconds)}"
    return [GOALS[0].figure(len(seconds)), GOALS[1].figure(max(seconds), spread)]


def _killed_at(point: Point) -> float:
    model = Path(os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model").resolve()
    before = hashes(model)
    with tempfile.TemporaryDirectory() as name:
        victim = start(point, Path(name), model)
        try:
            kill_at(victim, point)
            begin_s = time.monotonic()
            if point.with_guard:
                next_command(victim)
            clean_after_s(victim, model, before)
            return time.monotonic() - begin_s
        finally:
            if victim.process.poll() is None:
                victim.process.kill()  # its guard does the rest
                victim.process.wait()
