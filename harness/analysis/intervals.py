"""Intervals for rates, quantiles and means, and the sample sizes below which there is none.

Sources: Clopper and Pearson, Biometrika 26 (1934); Hahn and Meeker, Statistical Intervals (order statistics);
Efron, JASA 82 (1987), for the bootstrap; the outage-level argument is in the docs: requests inside an outage are not
independent, so the unit there is the episode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from harness.model.verdict import Estimate, Interval

__all__ = ["BOOTSTRAP_MIN_N", "mean_over_episodes", "quantile_bounds", "rate", "recovery_quantile"]

BOOTSTRAP_MIN_N = 10  # below it the bootstrap of a skewed quantity covers far less than it says


def rate(good: int, n: int, confidence: float = 0.95, *, one_sided: bool = False) -> Estimate:
    """Exact (Clopper-Pearson) bounds of a success rate. Valid for independent trials only: fault-free traffic.

    `one_sided`: each bound holds with `confidence` by itself, as a claim needs; otherwise both together do.
    """
    if n == 0:
        return Estimate(None, None, None, confidence, "not estimable: no requests", 0)
    alpha = (1 - confidence) if one_sided else (1 - confidence) / 2
    low = 0.0 if good == 0 else float(special.betaincinv(good, n - good + 1, alpha))
    high = 1.0 if good == n else float(special.betaincinv(good + 1, n - good, 1 - alpha))
    sides = "one-sided bounds" if one_sided else "two-sided"
    return Estimate(good / n, low, high, confidence, f"Clopper-Pearson, exact, {sides}", n)


def quantile_bounds(n: int, quantile: float, confidence: float) -> tuple[int | None, int | None]:
    """Ranks (from 1) of the order statistics that bound a quantile from below and above, each with `confidence`.

    X_(u) is an upper bound when P(Bin(n, q) <= u - 1) >= c; X_(l) a lower one when P(Bin(n, q) <= l - 1) <= 1 - c.
    None: no order statistic of so few values is one.
    """
    ranks = np.arange(1, n + 1)
    below = special.bdtr(ranks - 1, n, quantile)
    upper = ranks[below >= confidence - 1e-12]
    lower = ranks[below <= 1 - confidence + 1e-12]
    return (int(lower[-1]) if lower.size else None), (int(upper[0]) if upper.size else None)


def recovery_quantile(recoveries: Sequence[Interval | None], quantile: float, confidence: float) -> Estimate:
    """Order-statistic bounds of a quantile of interval-censored times in seconds.

    None: nothing was lost, which counts as 0. An open interval: not recovered, which counts as infinitely long, so it
    is never dropped. The bounds use the pessimistic ends: lows for the low bound, highs for the high one.
    """
    n = len(recoveries)
    lows = sorted(0.0 if r is None else r.low for r in recoveries)
    highs = sorted(0.0 if r is None else (math.inf if r.high is None else r.high) for r in recoveries)
    lower, upper = quantile_bounds(n, quantile, confidence)
    method = f"order statistics of {n} episodes, one-sided bounds"
    if upper is None:
        need = math.ceil(math.log(1 - confidence) / math.log(quantile) - 1e-9)
        return Estimate(None, None, None, confidence, f"not estimable: {n} episodes, {need} needed", n)
    rank = max(1, math.ceil(quantile * n)) - 1
    low = lows[lower - 1] if lower is not None else 0.0
    return Estimate(_finite((lows[rank] + highs[rank]) / 2), low, _finite(highs[upper - 1]), confidence, method, n)


def mean_over_episodes(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of one number per episode, by BCa bootstrap over episodes (10,000 resamples, fixed seed)."""
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, confidence, "not estimable: no episodes", 0)
    mean = float(np.mean(values))
    if n < BOOTSTRAP_MIN_N:
        return Estimate(
            mean, None, None, confidence, f"mean; no interval from {n} episodes ({BOOTSTRAP_MIN_N} needed)", n
        )
    if min(values) == max(values):
        return Estimate(mean, mean, mean, confidence, f"all {n} episodes equal", n)
    low, high = _bca(np.asarray(values, dtype=np.float64), confidence)
    return Estimate(mean, low, high, confidence, f"BCa bootstrap over {n} episodes", n)


def _bca(values: np.ndarray[tuple[int], np.dtype[np.float64]], confidence: float) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated bootstrap of a mean; scipy.stats would take a second to import."""
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.choice(values, (1000, values.size)).mean(axis=1) for _ in range(10)])
    bias = special.ndtri((np.mean(drawn < values.mean()) + np.mean(drawn <= values.mean())) / 2)
    leave_one_out = (values.sum() - values) / (values.size - 1)
    spread = leave_one_out.mean() - leave_one_out
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    z = bias + special.ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    low, high = np.quantile(drawn, special.ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
