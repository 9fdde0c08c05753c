"""When is a target warm? When two windows of warm-up requests look alike.

A first request pays for connections, caches and lazy loading, so latency falls during the warm-up and then stays. Two
medians are called alike within 25 % or 10 ms: the median of a handful of requests of a healthy CPU service varies by
10 to 20 % on a shared machine, and below 10 ms the difference is the machine's scheduling, not the target. Cold starts
are slower by factors. Fewer than five requests have no median worth the name, so a window is as long as the rate asks
for: at 40 requests a second a quarter of a second, at 2 a second four. The two are as far apart as a request takes:
requests that have waited a second are of one backlog, which shrinks too little in a quarter of a second to be seen, and
of what has not been answered yet, answers say nothing. Windows end with the latest answer, as far as the log has it: it
is written ten times a second.
"""

from __future__ import annotations

from statistics import median

from harness.load.progress import Finished, Progress
from harness.model.request import Lane

__all__ = ["settled"]

_LEAST = 5
_WINDOWS_S = (0.25, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_LOG_S = 0.15  # an answer may be as old as this and still be the latest: the log is that far behind
_RATIO = 0.25
_SLACK_S = 0.010


def settled(progress: Progress, now_s: float) -> bool:
    """Do the last two windows of the warm-up lane agree, with every request good? Seconds from the run's origin.

    Of the lengths the shortest counts at which the earlier window holds enough requests; the last must hold enough,
    too: a target that has just stopped to answer is not compared by its past.
    """
    end_s = next((last.done_s for last in progress.finished(Lane.WARMUP, now_s, _LOG_S)), now_s)
    open_s = progress.open_for_s(Lane.WARMUP, now_s)
    for window_s in _WINDOWS_S:
        last = list(progress.finished(Lane.WARMUP, end_s, window_s))
        apart_s = max(window_s, open_s, _median_s(last))
        earlier = list(progress.finished(Lane.WARMUP, end_s - apart_s, window_s))
        if len(earlier) >= _LEAST:
            good = len(last) >= _LEAST and all(request.ok for request in (*earlier, *last))
            return good and _alike(_median_s(earlier), _median_s(last))
    return False


def _median_s(window: list[Finished]) -> float:
    return median([request.latency_s for request in window] or [0.0])


def _alike(was_s: float, is_s: float) -> bool:
    return abs(is_s - was_s) <= max(_SLACK_S, _RATIO * max(was_s, is_s))
