"""Fault rates from counted events: Gamma posterior, exact interval of a count, incident probability.

Sources: Garwood 1936 (exact interval of a Poisson mean); Jeffreys' prior for a Poisson rate, Gamma(1/2, 0), and for a
share, Beta(1/2, 1/2); NIST/SEMATECH Handbook 8.4.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.analysis.frame import Floats
from harness.model.soak import FaultRate

__all__ = ["RateBounds", "count_bounds", "draw_rates", "draw_shares", "rate_bounds"]


@dataclass(frozen=True)
class RateBounds:
    """Events per day, with an exact two-sided interval; of a guess `low` is 0 and `high` the end of its range."""

    per_day: float
    low: float
    high: float


def count_bounds(events: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Garwood) bounds of the mean of a Poisson count: [chi2(a/2; 2r)/2, chi2(1-a/2; 2r+2)/2]."""
    alpha = 1 - confidence
    low = 0.0 if events == 0 else float(special.gammaincinv(events, alpha / 2))
    return low, float(special.gammaincinv(events + 1, 1 - alpha / 2))


def rate_bounds(rate: FaultRate) -> RateBounds:
    """Of a counted rate its exact interval; of a guess its range."""
    if rate.events is None or rate.exposure_days is None:
        guess = (rate.assumed_per_30_days or 0.0) / 30
        most = guess * 10 if rate.at_most_per_30_days is None else rate.at_most_per_30_days / 30
        return RateBounds(guess, 0.0, most)
    low, high = count_bounds(rate.events)
    return RateBounds(rate.events / rate.exposure_days, low / rate.exposure_days, high / rate.exposure_days)


def draw_rates(rate: FaultRate, size: int, rng: np.random.Generator) -> Floats:
    """Events per day from the posterior Gamma(events + 1/2, exposure); of a guess the end of its range, every time."""
    if rate.events is None or rate.exposure_days is None:
        return np.full(size, rate_bounds(rate).high)
    return rng.gamma(rate.events + 0.5, 1 / rate.exposure_days, size)


def draw_shares(hits: int, n: int, size: int, rng: np.random.Generator) -> Floats:
    """A probability of which `hits` of `n` trials are known, from Beta(hits + 1/2, n - hits + 1/2)."""
    return rng.beta(hits + 0.5, n - hits + 0.5, size)
