"""Intervals of a difference, B minus A, from two samples that are independent of each other. All at 95 %.

Sources: Newcombe, Statistics in Medicine 17 (1998) 873, for rates (here from exact bounds, which only widens it);
Hodges and Lehmann, Annals of Mathematical Statistics 34 (1963) 598, for the shift between two samples, its interval by
the exact distribution of Mann and Whitney's U; Welch, Biometrika 34 (1947) 28, over batch means for latencies, since
requests one after another are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import special

from harness.analysis.intervals import rate
from harness.model.verdict import Estimate, Interval

__all__ = ["difference_of_latency", "difference_of_rates", "shift_of_times"]

CONFIDENCE = 0.95
BATCHES_MIN, BATCHES_MAX = 5, 20


def difference_of_rates(a: tuple[int, int], b: tuple[int, int]) -> Estimate:
    """Of two success rates, each (good, all) of independent requests: fault-free traffic."""
    if not a[1] or not b[1]:
        return _none("no requests on one side", 0)
    pa, pb = rate(*a), rate(*b)
    assert pa.value is not None and pa.low is not None and pa.high is not None
    assert pb.value is not None and pb.low is not None and pb.high is not None
    by = pb.value - pa.value
    low = by - math.hypot(pb.value - pb.low, pa.high - pa.value)
    high = by + math.hypot(pb.high - pb.value, pa.value - pa.low)
    return Estimate(by, low, high, CONFIDENCE, "Newcombe's square-and-add from Clopper-Pearson bounds", a[1] + b[1])


def shift_of_times(a: Sequence[Interval], b: Sequence[Interval]) -> Estimate:
    """How much later B is than A, one value per episode, known between two bounds; an open one is infinitely long.

    The low bound compares the lows of B with the highs of A, the high bound the other way round.
    """
    n = len(a) * len(b)
    k = _rank(len(a), len(b))
    if k is None:
        return _none(f"{len(a)} and {len(b)} episodes; 4 and 4 are the fewest that can show a shift", len(a) + len(b))
    with np.errstate(invalid="ignore"):
        lows = _pairs([one.low for one in b], [_high(one) for one in a], -math.inf)
        highs = _pairs([_high(one) for one in b], [one.low for one in a], math.inf)
        middles = np.sort(np.nan_to_num((lows + highs) / 2, nan=math.inf, posinf=math.inf, neginf=-math.inf))
    by = float(np.median(middles))
    method = f"Hodges-Lehmann shift, exact Mann-Whitney interval, {len(a)} and {len(b)} episodes"
    low, high = float(lows[k - 1]), float(highs[n - k])
    return Estimate(_finite(by), _finite(low), _finite(high), CONFIDENCE, method, len(a) + len(b))


def _high(one: Interval) -> float:
    return math.inf if one.high is None else one.high


def _pairs(b: Sequence[float], a: Sequence[float], unknown: float) -> np.ndarray[Any, Any]:
    """Every b - a, sorted; two that are both infinite can differ by anything."""
    by = np.subtract.outer(np.asarray(b, dtype=np.float64), np.asarray(a, dtype=np.float64)).ravel()
    return np.sort(np.where(np.isnan(by), unknown, by))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@cache
def _rank(m: int, n: int) -> int | None:
    """The k for which [D(k), D(mn + 1 - k)] of the sorted differences covers a shift with 95 % or more."""
    if m * n > 2_500:  # exact is not needed any more
        spread = special.ndtri((1 + CONFIDENCE) / 2) * math.sqrt(m * n * (m + n + 1) / 12)
        return max(1, math.floor(m * n / 2 - spread))
    ways = np.zeros(m * n + 1)
    ways[0] = 1.0
    for i in range(1, m + 1):  # Gauss's binomial coefficient, factor by factor: (1 - q^(n+i)) / (1 - q^i)
        if n + i <= m * n:
            ways[n + i :] = ways[n + i :] - ways[: m * n + 1 - n - i]
        for at in range(i, m * n + 1):
            ways[at] += ways[at - i]
    below = np.cumsum(ways) / math.comb(m + n, m)
    ranks = np.flatnonzero(below <= (1 - CONFIDENCE) / 2)
    return int(ranks[-1]) + 1 if ranks.size else None


def difference_of_latency(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], quantile: float) -> Estimate:
    """Of a quantile of two latency series in the order of their requests (milliseconds).

    Each series is cut into batches long enough for the quantile; their values are compared by Welch's interval.
    """
    need = max(30, math.ceil(10 / (1 - quantile)))
    parts = [_batches(values, quantile, need) for values in (a, b)]
    n = a.size + b.size
    if min(len(part) for part in parts) < BATCHES_MIN:
        fewest = min(a.size, b.size)
        return _none(f"{fewest:,} good requests on one side, {need * BATCHES_MIN:,} needed", n)
    means = [float(np.mean(part)) for part in parts]
    parts_of = [float(np.var(part, ddof=1)) / len(part) for part in parts]
    by = means[1] - means[0]
    if sum(parts_of) == 0:
        return Estimate(by, by, by, CONFIDENCE, "all batches equal", n)
    freedom = sum(parts_of) ** 2 / sum(v**2 / (len(part) - 1) for v, part in zip(parts_of, parts, strict=True))
    reach = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(parts_of))
    method = f"Welch over {len(parts[0])} and {len(parts[1])} batches of {need} or more requests"
    return Estimate(by, by - reach, by + reach, CONFIDENCE, method, n)


def _batches(values: np.ndarray[Any, Any], quantile: float, need: int) -> list[float]:
    count = min(BATCHES_MAX, values.size // need)
    if not count:
        return []
    return [float(np.quantile(part, quantile, method="inverted_cdf")) for part in np.array_split(values, count)]


def _none(why: str, n: int) -> Estimate:
    return Estimate(None, None, None, CONFIDENCE, f"not estimable: {why}", n)
