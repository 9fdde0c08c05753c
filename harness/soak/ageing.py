"""Ageing: how fast memory, descriptors, disk, latency or cache hits drift, and when a limit is met.

It cannot be compressed: only time that passed, and requests that were served, tell of it. `low_frequency.py` has the
regression whose intervals hold on what is measured over time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.model.verdict import Estimate
from harness.soak.low_frequency import (
    FREQUENCIES,
    Fit,
    FloatArray,
    Samples,
    apart,
    bends,
    differ,
    effective_samples,
    fit,
    hours,
    walk,
)

__all__ = ["CARRY_MAX", "Ageing", "TimeToLimit", "ageing", "time_to_limit"]

SAMPLES_MIN = 40
# Worth of independent samples. At so many, 95 % intervals covered 93 % of synthetic AR(1) truths, from 50 on 94 to
# 95 %; at 13 only 90 %.
EFFECTIVE_MIN = 20.0
# Time and requests are told apart when at least this share of the one's movement is not the other's: a variance
# inflation of at most 10 (Marquardt, Technometrics 12, 1970).
APART_MIN = 0.1
# A line is carried on for at most so many times as long as its longest stretch: what a process does in its first
# minutes says nothing of its third week. A convention, not a theorem: an hour of watching is good for four days.
CARRY_MAX = 100.0
_MILLION = 1e6
REGRESSION, WALK = "low-frequency regression", "mean step of what moves by steps that stay"
DIFFERS = "the drift is not the same in all stretches"


@dataclass(frozen=True)
class Ageing:
    """Slopes of one series, in its own unit. Each may be not estimable; its method then says why.

    `per_hour`: at the load that there was on average, whatever it comes from. `per_hour_alone` and
    `per_million_requests`: what time does without requests, and requests without time. `bends`: no straight line (a
    cache that fills, a leak that ends), so nothing may be carried on from it. `differs`: the stretches have different
    slopes, whatever the load. `samples_effective`: worth of independent samples, of the stretches that were used.
    """

    per_hour: Estimate
    per_hour_alone: Estimate
    per_million_requests: Estimate
    bends: bool
    differs: bool
    samples_effective: float


@dataclass(frozen=True)
class TimeToLimit:
    """Hours from the last sample until a limit is met, with its interval.

    `high_h` None: perhaps never. `hours` None: no number, and `method` says why. A level that moves away from the limit
    never meets it: `low_h` infinite.
    """

    hours: float | None
    low_h: float | None
    high_h: float | None
    confidence: float
    method: str


def ageing(stretches: Sequence[Samples], confidence: float = 0.95) -> Ageing:
    """Slopes of one series over time and over requests, from all stretches together.

    Intervals are two-sided and cover `confidence` for noise of short memory, and for what moves by steps that stay,
    where no stretch is worth enough independent samples (`walk`); time and requests are not told apart then. Where
    slopes differ from stretch to stretch, the interval is that of their mean over stretches like these.
    """
    usable, effective, reason = _usable(stretches)
    n = sum(len(one.time_s) for one in usable or stretches)
    if reason:
        nothing = Estimate(None, None, None, confidence, f"not estimable: {reason}", n)
        per_hour = _estimate(walk(long), 0, confidence, n, WALK) if (long := _long_enough(stretches)) else nothing
        return Ageing(per_hour, nothing, nothing, bends=False, differs=False, samples_effective=effective)
    own, found = apart(usable), _hourly(usable)
    per_hour = _between(usable, confidence, n) if found is None else _estimate(found, 0, confidence, n)
    if own < APART_MIN:
        reason = f"requests went with time: {own:.0%} of their movement is their own, {APART_MIN:.0%} needed"
        alone = each = Estimate(None, None, None, confidence, f"not estimable: {reason}", n)
    else:
        both = fit(usable, hours, _millions)
        alone, each = (_estimate(both, which, confidence, n) for which in (0, 1))
    return Ageing(per_hour, alone, each, bends=bends(usable), differs=found is None, samples_effective=effective)


def time_to_limit(
    stretches: Sequence[Samples], limit: float, kind: Literal["max", "min"], confidence: float = 0.95
) -> TimeToLimit:
    """Hours from the last stretch's end until its line meets `limit`, at the mean load and if the slope stays.

    The interval is Fieller's (JRSS B 16, 1954): of a ratio, room left over slope. It is unbounded above unless the
    slope is known to lead to the limit. Not estimable for too few samples, for a line that bends, for slopes that
    differ, and for what is further away than CARRY_MAX times the longest stretch.
    """
    usable, _, reason = _usable(stretches)
    if reason and (long := _long_enough(stretches)):
        return _walks_to(long, limit, kind, confidence)
    if not reason and bends(usable):
        reason = "the drift is no straight line, and cannot be carried on"
    found = None if reason else _hourly(usable)
    if found is None:
        return TimeToLimit(None, None, None, confidence, f"not estimable: {reason or DIFFERS}")
    sign, last = 1.0 if kind == "max" else -1.0, usable[-1]
    slope, ahead = sign * float(found.coefficients[0]), float(hours(last)[-1] - hours(last).mean())
    room = sign * limit - (float((sign * last.value).mean()) + slope * ahead)
    spread = float(found.inverse[0, 0])
    # Of room, of slope, and of both together; the mean is independent of the cosines.
    variances = found.variance * np.array([1 / last.hours + ahead**2 * spread, spread, -ahead * spread])
    low_h, high_h = _fieller(room, slope, variances, found.quantile(confidence))
    return _told(room, slope, (low_h, high_h), (max(one.hours for one in usable), confidence, "Fieller"))


def _walks_to(
    stretches: Sequence[Samples], limit: float, kind: Literal["max", "min"], confidence: float
) -> TimeToLimit:
    """The same by mean steps, from the last value on, if they go on as they were; how they scatter is not in it."""
    sign, found = (1.0 if kind == "max" else -1.0), walk(stretches)
    slope, half = sign * float(found.coefficients[0]), found.half_width(0, confidence)
    room = sign * (limit - float(stretches[-1].value[-1]))
    low_h = math.inf if slope + half <= 0 else max(0.0, room) / (slope + half)
    high_h = max(0.0, room) / (slope - half) if slope > half else None
    return _told(room, slope, (low_h, high_h), (max(one.hours for one in stretches), confidence, "mean step"))


def _told(
    room: float, slope: float, bounds: tuple[float, float | None], watched: tuple[float, float, str]
) -> TimeToLimit:
    (low_h, high_h), (longest_h, confidence, how) = bounds, watched
    if room <= 0:
        return TimeToLimit(0.0, 0.0, high_h, confidence, "the line is at the limit already")
    far_h = CARRY_MAX * longest_h
    if math.isinf(low_h):
        return TimeToLimit(None, low_h, None, confidence, "the slope does not lead to the limit")
    if low_h >= far_h:
        method = (
            f"not estimable: not within {CARRY_MAX:g} times the {longest_h:.2g} h that were watched, which is as far"
        )
        return TimeToLimit(None, far_h, None, confidence, f"{method} as a line is carried on")
    if slope <= 0:
        return TimeToLimit(None, low_h, None, confidence, "no time: the slope may lead either way")
    if high_h is None:
        method = f"{how}, unbounded: the slope may be none"
    elif high_h > far_h:
        high_h, method = None, f"{how}; no upper bound within {CARRY_MAX:g} times the {longest_h:.2g} h watched"
    else:
        method = how
    return TimeToLimit(room / slope, low_h, high_h, confidence, method)


def _fieller(room: float, slope: float, variances: FloatArray, quantile: float) -> tuple[float, float | None]:
    """The times x >= 0 with (room - slope x)^2 <= quantile^2 var(room - slope x); infinite when there is none."""
    room_var, slope_var, both = (quantile**2 * float(one) for one in variances)
    a, b, c = slope**2 - slope_var, room * slope - both, room**2 - room_var
    if c <= 0 and room > 0 and a <= 0:
        return 0.0, None
    inside = max(0.0, b**2 - a * c) if a > 0 else b**2 - a * c  # rounding alone makes it negative then
    if inside < 0:  # only when a < 0: any time is possible
        return 0.0, None
    if a == 0:
        roots = [c / (2 * b)] * 2 if b != 0 else [math.inf, math.inf]
    else:
        roots = sorted(((b - math.sqrt(inside)) / a, (b + math.sqrt(inside)) / a))
    if a > 0:
        return (math.inf, None) if roots[1] < 0 else (max(0.0, roots[0]), roots[1])
    return max(0.0, roots[1]), None


def _estimate(found: Fit, which: int, confidence: float, n: int, what: str = REGRESSION) -> Estimate:
    value, half = float(found.coefficients[which]), found.half_width(which, confidence)
    method = f"{what}, {FREQUENCIES} cosines a stretch, t with {found.freedom} degrees of freedom"
    return Estimate(value, value - half, value + half, confidence, method, n)


def _hourly(stretches: Sequence[Samples]) -> Fit | None:
    """One slope over time for all; where loads differ, at their mean. None: the stretches differ beyond that."""
    if not differ(stretches):
        return fit(stretches, hours)
    if apart(stretches) < APART_MIN or differ(stretches, _millions):
        return None
    a_h = sum(float(np.ptp(one.requests)) for one in stretches) / sum(one.hours for one in stretches)
    return fit(stretches, hours, lambda one: (one.requests - a_h * hours(one)) / _MILLION)


def _millions(one: Samples) -> FloatArray:
    return one.requests / _MILLION


def _between(stretches: Sequence[Samples], confidence: float, n: int) -> Estimate:
    """The mean of slopes that differ, by how much they do."""
    slopes = np.array([float(fit([one], hours).coefficients[0]) for one in stretches])
    whole = Fit(slopes, np.eye(1), float(slopes.var(ddof=1)) / len(slopes), len(slopes) - 1)
    value, half = float(slopes.mean()), whole.half_width(0, confidence)
    method = f"mean of {len(slopes)} slopes that differ, t with {whole.freedom} degrees of freedom"
    return Estimate(value, value - half, value + half, confidence, method, n)


def _long_enough(stretches: Sequence[Samples]) -> list[Samples]:
    return [one for one in stretches if len(one.time_s) >= SAMPLES_MIN]


def _usable(stretches: Sequence[Samples]) -> tuple[list[Samples], float, str | None]:
    """Stretches that are long enough, what they are worth in independent samples, and why there is none."""
    worth = [(one, effective_samples(one)) for one in _long_enough(stretches)]
    if not worth:
        longest = max((len(one.time_s) for one in stretches), default=0)
        return [], 0.0, f"{longest} samples, {SAMPLES_MIN} needed"
    good = [(one, effective) for one, effective in worth if effective >= EFFECTIVE_MIN]
    if not good:
        n, effective = max(((len(one.time_s), e) for one, e in worth), key=lambda pair: pair[1])
        why = f"{n} samples are worth {effective:.0f} independent ones, {EFFECTIVE_MIN:.0f} needed: measure longer"
        return [], effective, why
    return [one for one, _ in good], sum(effective for _, effective in good), None
