"""When is a target warm? When two neighbouring windows of warm-up requests look alike.

A first request pays for connections, caches and lazy loading, so latency falls during the warm-up and then stays. Two
medians are called alike within 25 % or 10 ms: the median of a handful of requests of a healthy CPU service varies by
10 to 20 % on a shared machine, and below 10 ms the difference is the machine's scheduling, not the target. Cold starts
are slower by factors, so neither bound hides one. Fewer than three requests have no median worth the name.
"""

from __future__ import annotations

from statistics import median

from harness.load.progress import Progress
from harness.model.request import Lane

__all__ = ["settled"]

_LEAST = 3
_RATIO = 0.25
_SLACK_S = 0.010


def settled(progress: Progress, now_s: float, window_s: float = 1.0) -> bool:
    """Do the last two windows of the warm-up lane agree, with every request good? Seconds from the run's origin."""
    medians: list[float] = []
    for end_s in (now_s - window_s, now_s):
        requests = list(progress.finished(Lane.WARMUP, end_s, window_s))
        if len(requests) < _LEAST or not all(request.ok for request in requests):
            return False
        medians.append(median(request.latency_s for request in requests))
    before, after = medians
    return abs(after - before) <= max(_SLACK_S, _RATIO * max(before, after))
