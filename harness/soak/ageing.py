"""Ageing: how fast memory, descriptors, disk, latency or cache hits drift, and when a limit is met.

It cannot be compressed: only time that passed, and requests that were served, tell of it. What is measured over time
is correlated with itself, and a slope with the textbook's error would be wrong about it far too often. So the
regression is done on the lowest frequencies alone (Müller and Watson, Low-Frequency Econometrics, 2017; the same
cosines as in Lazarus, Lewis, Stock and Watson, JBES 36, 2018): of each column the first `FREQUENCIES` cosine transforms
are taken, in which noise of short memory is nearly white, and least squares with Student's t is right again. The price
is known: few degrees of freedom, so wide intervals, and no number at all when the noise remembers for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from harness.model.verdict import Estimate

__all__ = ["Ageing", "TimeToLimit", "ageing", "time_to_limit"]

FloatArray = npt.NDArray[np.float64]
FREQUENCIES = 10
SAMPLES_MIN = 40
# Worth of independent samples. At so many, 95 % intervals covered 93 % of synthetic AR(1) truths, from 50 on 94 to
# 95 %; at 13 only 90 %.
EFFECTIVE_MIN = 20.0
# Time and requests are told apart when at least this share of the one's movement is not the other's: a variance
# inflation of at most 10 (Marquardt, Technometrics 12, 1970).
APART_MIN = 0.1
BEND_CONFIDENCE = 0.99
_HOUR_S = 3600.0
_MILLION = 1e6


@dataclass(frozen=True)
class Ageing:
    """Slopes of one series, in its own unit. Each may be not estimable; its method then says why.

    `per_hour`: at the load that there was, whatever it comes from. `per_hour_alone` and `per_million_requests`: what
    time does without requests, and requests without time. `bends`: no straight line (a cache that fills, a leak that
    ends), so nothing may be carried on from it. `samples_effective`: worth of independent samples.
    """

    per_hour: Estimate
    per_hour_alone: Estimate
    per_million_requests: Estimate
    bends: bool
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


@dataclass(frozen=True)
class _Fit:
    """Least squares on transforms: coefficients, inverse of X'X, the noise's long-run variance, degrees of freedom."""

    coefficients: FloatArray
    inverse: FloatArray
    variance: float
    freedom: int

    def half_width(self, which: int, confidence: float) -> float:
        quantile = float(special.stdtrit(self.freedom, (1 + confidence) / 2))
        return quantile * math.sqrt(self.variance * float(self.inverse[which, which]))


def ageing(time_s: FloatArray, value: FloatArray, requests: FloatArray, confidence: float = 0.95) -> Ageing:
    """Slopes of `value` (n,) over `time_s` (n,), rising, and over `requests` (n,), served so far at each sample.

    Samples should be about evenly spaced and without faults between. Intervals are two-sided and cover `confidence` for
    noise of short memory; a random walk has no slope that could be known, and is refused when its samples show it.
    A ValueError when shapes differ, time does not rise, or requests fall.
    """
    _check(time_s, value, requests)
    effective = _effective_samples(time_s, value, requests)
    reason = _too_little(len(time_s), effective)
    hours = time_s / _HOUR_S
    if reason:
        nothing = Estimate(None, None, None, confidence, f"not estimable: {reason}", len(time_s))
        return Ageing(nothing, nothing, nothing, bends=False, samples_effective=effective)
    per_hour = _estimate(_fit(value, hours), 0, confidence, len(time_s))
    apart = _apart(hours, requests)
    if apart < APART_MIN:
        reason = f"requests went with time: {apart:.0%} of their movement is their own, {APART_MIN:.0%} needed"
        alone = each = Estimate(None, None, None, confidence, f"not estimable: {reason}", len(time_s))
    else:
        both = _fit(value, hours, requests / _MILLION)
        alone, each = (_estimate(both, which, confidence, len(time_s)) for which in (0, 1))
    return Ageing(per_hour, alone, each, bends=_bends(hours, value), samples_effective=effective)


def time_to_limit(
    time_s: FloatArray, value: FloatArray, limit: float, kind: Literal["max", "min"], confidence: float = 0.95
) -> TimeToLimit:
    """Hours until the line through `value` (n,) over `time_s` (n,) meets `limit`, if load and slope stay as they were.

    The interval is Fieller's (JRSS B 16, 1954): of a ratio, room left over slope. It is unbounded above unless the
    slope is known to lead to the limit. Not estimable for too few samples and for a line that bends. ValueErrors as
    `ageing`.
    """
    _check(time_s, value, time_s)
    reason = _too_little(len(time_s), _effective_samples(time_s, value, time_s))
    hours = time_s / _HOUR_S
    if not reason and _bends(hours, value):
        reason = "the drift is no straight line, and cannot be carried on"
    if reason:
        return TimeToLimit(None, None, None, confidence, f"not estimable: {reason}")
    sign = 1.0 if kind == "max" else -1.0
    fit = _fit(sign * value, hours)
    slope, ahead = float(fit.coefficients[0]), float(hours[-1] - hours.mean())
    room = sign * limit - (float((sign * value).mean()) + slope * ahead)
    spread = float(fit.inverse[0, 0])
    # Of room, of slope, and of both together; the mean is independent of the cosines.
    variances = fit.variance * np.array([1 / len(hours) + ahead**2 * spread, spread, -ahead * spread])
    low_h, high_h = _fieller(room, slope, variances, float(special.stdtrit(fit.freedom, (1 + confidence) / 2)))
    if room <= 0:
        return TimeToLimit(0.0, 0.0, high_h, confidence, "the line is at the limit already")
    hits = room / slope if slope > 0 else None
    method = "Fieller" if high_h is not None else "Fieller, unbounded: the slope may be none"
    if hits is None:
        method = (
            "the slope does not lead to the limit" if math.isinf(low_h) else "no time: the slope may lead either way"
        )
    return TimeToLimit(hits, low_h, high_h, confidence, method)


def _fieller(room: float, slope: float, variances: FloatArray, quantile: float) -> tuple[float, float | None]:
    """The times x >= 0 with (room - slope x)^2 <= quantile^2 var(room - slope x); infinite when there is none."""
    room_var, slope_var, both = (quantile**2 * float(one) for one in variances)
    a, b, c = slope**2 - slope_var, room * slope - both, room**2 - room_var
    if c <= 0 and room > 0 and a <= 0:
        return 0.0, None
    inside = b**2 - a * c
    if inside < 0:  # only when a < 0: any time is possible
        return 0.0, None
    roots = sorted(((b - math.sqrt(inside)) / a, (b + math.sqrt(inside)) / a)) if a != 0 else [c / (2 * b)] * 2
    if a > 0:
        return (math.inf, None) if roots[1] < 0 else (max(0.0, roots[0]), roots[1])
    return max(0.0, roots[1]), None


def _transforms(column: FloatArray) -> FloatArray:
    """(n,) -> (FREQUENCIES,): cosine transforms; white noise of variance 1 gives variance 1, a constant gives 0."""
    found: FloatArray = _waves(len(column)) @ (column - column.mean())
    return found


@cache
def _waves(n: int) -> FloatArray:
    middle = (np.arange(n) + 0.5) / n
    return np.cos(np.pi * np.outer(np.arange(1, FREQUENCIES + 1), middle)) * math.sqrt(2 / n)


def _fit(value: FloatArray, *regressors: FloatArray) -> _Fit:
    columns = np.column_stack([_transforms(one) for one in regressors])
    seen = _transforms(value)
    inverse: FloatArray = np.linalg.inv(columns.T @ columns).astype(np.float64)
    coefficients = inverse @ columns.T @ seen
    freedom = FREQUENCIES - len(regressors)
    return _Fit(coefficients, inverse, float(((seen - columns @ coefficients) ** 2).sum()) / freedom, freedom)


def _estimate(fit: _Fit, which: int, confidence: float, n: int) -> Estimate:
    value, half = float(fit.coefficients[which]), fit.half_width(which, confidence)
    method = f"low-frequency regression, {FREQUENCIES} cosines, t with {fit.freedom} degrees of freedom"
    return Estimate(value, value - half, value + half, confidence, method, n)


def _apart(hours: FloatArray, requests: FloatArray) -> float:
    """The share of the requests' movement that time does not explain, at the frequencies used; 0 without requests."""
    time, served = _transforms(hours), _transforms(requests)
    if float(served @ served) == 0:
        return 0.0
    return float(1 - (time @ served) ** 2 / ((time @ time) * (served @ served)))


def _bends(hours: FloatArray, value: FloatArray) -> bool:
    """Whether a parabola fits clearly better than a line."""
    fit = _fit(value, hours, (hours - hours.mean()) ** 2)
    return abs(float(fit.coefficients[1])) > fit.half_width(1, BEND_CONFIDENCE)


def _effective_samples(time_s: FloatArray, value: FloatArray, requests: FloatArray) -> float:
    """n (1 - r) / (1 + r) with the correlation r from sample to sample of what a smooth curve and the requests leave.

    The curve is a polynomial of degree 4, so that a drift that bends is not taken for noise with a memory. Taking k
    columns out makes r too small by about (k + (k + 2) r) / n, which is added (Marriott and Pope, Biometrika 41, 1954,
    for k = 1; for more, checked on synthetic noise).
    """
    n = len(value)
    if n < SAMPLES_MIN:
        return float(n)
    curve = np.polynomial.legendre.legvander(2 * (time_s - time_s[0]) / (time_s[-1] - time_s[0]) - 1, 4)
    columns = np.column_stack([curve, (requests - requests.mean()) / (float(np.ptp(requests)) or 1.0)])
    left = value - columns @ np.linalg.lstsq(columns, value, rcond=None)[0]
    power = float(left @ left)
    if power <= 1e-18 * float(value @ value):
        return float(n)  # a curve, exactly
    k, r = columns.shape[1], float(left[1:] @ left[:-1]) / power
    r = min(0.999, max(0.0, (r + k / n) / (1 - (k + 2) / n)))
    return float(n * (1 - r) / (1 + r))


def _too_little(n: int, effective: float) -> str | None:
    if n < SAMPLES_MIN:
        return f"{n} samples, {SAMPLES_MIN} needed"
    if effective < EFFECTIVE_MIN:
        return f"{n} samples are worth {effective:.0f} independent ones, {EFFECTIVE_MIN:.0f} needed: measure longer"
    return None


def _check(time_s: FloatArray, value: FloatArray, requests: FloatArray) -> None:
    if not time_s.shape == value.shape == requests.shape or time_s.ndim != 1:
        raise ValueError(
            f"time, value and requests must have one shape: {time_s.shape}, {value.shape}, {requests.shape}"
        )
    if not all(bool(np.isfinite(column).all()) for column in (time_s, value, requests)):
        raise ValueError("time, value and requests must be finite: leave out samples that are not there")
    if (np.diff(time_s) <= 0).any() or (np.diff(requests) < 0).any():
        raise ValueError("time must rise from sample to sample, and requests must not fall: a counter that began anew?")
