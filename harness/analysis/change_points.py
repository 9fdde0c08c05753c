"""Where the level of a series of runs changed: Pettitt's test, again on both sides of what it finds.

Source: A. N. Pettitt, A non-parametric approach to the change-point problem, Applied Statistics 28 (1979) 126-135.
It looks at ranks, so that one wild run is no change of level. Its p-value is the published approximation where
that decides, and drawn by permutation where it is too careful to. Runs are taken as independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import special

__all__ = ["MIN_N", "find_changes"]

MIN_N = 8  # fewer values cannot show a change at any level that is of use
_PERMUTED_N = 100  # longer series need no permutations: the approximation is close
_FAR = 100  # times alpha: no permutation will bring it down that far
_SEED = 20261121  # of the permutations: the same series gives the same marks


def find_changes(values: Sequence[float], alpha: float) -> list[tuple[int, float]]:
    """(index of the first value on a new level, p-value), by index. `alpha`: the level of each test, 0 to 1.

    The first test of a series is at `alpha`: a steady series shows a change with that probability at most. What lies
    on either side of a change is tested again, at the same level.
    """
    series = np.asarray(values, dtype=np.float64)
    return sorted(_split(series, 0, alpha))


def _split(values: np.ndarray[Any, Any], offset: int, alpha: float) -> Iterator[tuple[int, float]]:
    if values.size < MIN_N or not np.isfinite(values).all():
        return
    statistic, at = _pettitt(values)
    p_value = _p_value(values, statistic, alpha)
    if p_value > alpha:
        return
    yield offset + at, p_value
    yield from _split(values[:at], offset, alpha)
    yield from _split(values[at:], offset + at, alpha)


def _pettitt(values: np.ndarray[Any, Any]) -> tuple[float, int]:
    """The largest |U| and the index after which it occurs."""
    u = np.abs(_u(_ranks(values)[None, :])[0])
    at = int(np.argmax(u))
    return float(u[at]), at + 1


def _u(ranks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """U of every split of every row: 2 * (sum of the first t ranks) - t * (n + 1)."""
    n = ranks.shape[1]
    return np.asarray((2 * np.cumsum(ranks, axis=1) - np.arange(1, n + 1) * (n + 1))[:, :-1])


def _ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((low + high + 1) / 2)


def _p_value(values: np.ndarray[Any, Any], statistic: float, alpha: float) -> float:
    n = values.size
    approximate = min(1.0, 2 * math.exp(-6 * statistic**2 / (n**3 + n**2)))
    if approximate <= alpha or approximate > _FAR * alpha or n > _PERMUTED_N:
        return approximate
    draws = min(50_000, math.ceil(20 / alpha))
    rng = np.random.default_rng(_SEED)
    shuffled = rng.permuted(np.tile(_ranks(values), (draws, 1)), axis=1)
    reached = int((np.abs(_u(shuffled)).max(axis=1) >= statistic - 1e-9).sum())
    return float(special.betaincinv(reached + 1, draws - reached, 0.95)) if reached < draws else 1.0  # never too small
