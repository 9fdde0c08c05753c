"""How surprising the data would be if a claim were false: exact one-sided p-values, for many claims together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import special

from harness.model.scenario import Claim
from harness.model.verdict import Interval

__all__ = ["quantile_p", "rate_p"]


def rate_p(good: int, n: int, claim: Claim) -> float | None:
    """Of a rate, by the binomial distribution; with min and max the larger one counts. None: there is no data."""
    if n == 0:
        return None
    found = []
    if claim.min is not None:
        found.append(_at_least(good, n, claim.min))
    if claim.max is not None:
        found.append(_at_most(good, n, claim.max))
    return max(found, default=None)


def quantile_p(values: Sequence[Interval | None], quantile: float, claim: Claim) -> float | None:
    """Of a quantile, by the sign test: how many values lie on the claim's side, pessimistic ends of intervals.

    None stands for a value of 0 (nothing was lost), an open interval for one that is infinitely long.
    """
    n = len(values)
    if n == 0:
        return None
    found = []
    if claim.max is not None:
        highs = [0.0 if one is None else math.inf if one.high is None else one.high for one in values]
        found.append(_at_least(sum(high <= claim.max for high in highs), n, quantile))
    if claim.min is not None:
        lows = [0.0 if one is None else one.low for one in values]
        found.append(_at_most(sum(low < claim.min for low in lows), n, quantile))
    return max(found, default=None)


def _at_least(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) >= k)."""
    return 1.0 if k == 0 else float(special.bdtrc(k - 1, n, p))


def _at_most(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) <= k)."""
    return float(special.bdtr(k, n, p))
