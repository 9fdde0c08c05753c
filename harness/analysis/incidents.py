"""When users lost service and when they had it back: interval-censored, from what requests prove.

A request shows the service's state only between its sending and its end. So a lost request proves that the service was
bad at some moment not before it was sent; a good one proves that it was good by the moment it was answered. Recovery
lies between the two: after `sent_s` of the last bad request, before `done_s` of the first good one sent after it.
A request that is unanswered for longer than the baseline's p99 is evidence too: at the moment of the first answer after
a silence, whatever had by then waited longer than normal was sent while the service was still bad. One request in a
hundred is that slow for no reason, and more are where a connection must be opened anew after a reset; so it takes two
of them, each twice as late as the p99, and the earlier of the last two is the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.analysis.frame import Floats
from harness.model.verdict import Interval

__all__ = ["Incident", "Sample", "allowed_bad", "find_incident"]


LATE = 2.0  # times the baseline's p99: a first request pays for its connection too


@dataclass(frozen=True)
class Sample:
    """The requests around one episode, sorted by `sent_s`; arrays of one length. Never-sent ones are left out."""

    sent_s: Floats
    done_s: Floats  # infinity: not ended
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]]  # lost, or unanswered for too long when the run ended
    good: np.ndarray[tuple[int], np.dtype[np.bool_]]  # ended ok


@dataclass(frozen=True)
class Incident:
    """What users lost, in seconds from the fault's begin. None: nothing was lost beyond the baseline's rate."""

    first_good_s: Interval | None
    recovery_s: Interval | None
    down_from_s: float | None  # sending of the first lost request


def allowed_bad(rate_per_s: float, hold_s: float, baseline_bad_rate: float) -> int:
    """How many losses within `hold_s` are no more than the baseline's own: the 99 % binomial quantile."""
    if baseline_bad_rate <= 0:
        return 0
    n = max(1, round(rate_per_s * hold_s))
    most = np.arange(n + 1)
    return int(most[special.bdtr(most, n, min(1.0, baseline_bad_rate)) >= 0.99][0])


def find_incident(sample: Sample, fault_begin_s: float, end_s: float, normal: tuple[float, float, int]) -> Incident:
    """The incident after `fault_begin_s`, observed until `end_s` (both on the sample's clock).

    `normal` is (p99 in seconds from sending to the end, hold_s, number of losses within hold_s that are normal).
    """
    p99_s, hold_s, allowed = normal
    bad_sent = sample.sent_s[sample.bad & (sample.done_s >= fault_begin_s)]
    unsteady = bad_sent[_losses_within(bad_sent, hold_s) > allowed]
    if unsteady.size == 0:
        return Incident(None, None, None)
    first = _back(sample, max(fault_begin_s, float(unsteady[0])), bad_sent, p99_s)
    last = _back(sample, max(fault_begin_s, float(unsteady[-1])), bad_sent, p99_s)
    held = last[1] is not None and end_s - last[1] >= hold_s - 1e-9
    back_s = last[1] if held else None
    recovery = Interval(_after(last[0], fault_begin_s), None if back_s is None else _after(back_s, fault_begin_s))
    first_good = Interval(
        _after(first[0], fault_begin_s), None if first[1] is None else _after(first[1], fault_begin_s)
    )
    return Incident(first_good, recovery, _after(float(unsteady[0]), fault_begin_s))


def _back(sample: Sample, bad_s: float, bad_sent: Floats, p99_s: float) -> tuple[float, float | None]:
    """Bounds of the moment at which service was back after a request sent at `bad_s` had been lost."""
    after = sample.good & (sample.sent_s > bad_s)
    if not after.any():
        return max(bad_s, float(bad_sent[-1])), None
    first_sent_s = float(sample.sent_s[after].min())
    lost = bad_sent[(bad_sent > bad_s) & (bad_sent < first_sent_s)]  # part of the same outage: nothing good between
    answered_s = float(sample.done_s[after].min())
    late = (sample.sent_s > bad_s) & (sample.sent_s + LATE * p99_s <= answered_s) & (sample.done_s >= answered_s)
    waited = np.sort(sample.sent_s[late])
    return float(max([bad_s, *lost[-1:], *waited[-2:-1]])), answered_s


def _losses_within(bad_sent: Floats, hold_s: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each loss, how many lie within `hold_s` from it on, itself included."""
    return np.searchsorted(bad_sent, bad_sent + hold_s, side="right") - np.arange(bad_sent.size)


def _after(moment_s: float, begin_s: float) -> float:
    return max(0.0, moment_s - begin_s)
