"""Latencies as counts in bins of 5 %: small enough to store for every trial, fine enough for a p99."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from harness.analysis.frame import Floats

__all__ = ["bins_of", "merged", "quantile_s"]

_STEP = math.log(1.05)
_FLOOR_S = 1e-4


def bins_of(latency_s: Floats) -> dict[int, int]:
    """Bin -> how many latencies; bin b holds those up to 0.1 ms x 1.05^(b + 1)."""
    known = latency_s[~np.isnan(latency_s)]
    index = np.floor(np.log(np.maximum(known, _FLOOR_S) / _FLOOR_S) / _STEP).astype(int)
    values, counts = np.unique(index, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def merged(parts: Iterable[tuple[Mapping[int, int], float]]) -> dict[int, float]:
    """Sums of counts, each part with its weight."""
    total: Counter[int] = Counter()
    for bins, weight in parts:
        for index, count in bins.items():
            total[index] += count * weight  # type: ignore[assignment]  # a Counter takes any number
    return dict(total)


def quantile_s(bins: Mapping[int, float], quantile: float) -> float | None:
    """The upper edge of the bin that holds the quantile, so it is never shown better than it was; None: no data."""
    total = sum(bins.values())
    if total <= 0:
        return None
    below = 0.0
    for index in sorted(bins):
        below += bins[index]
        if below >= quantile * total - 1e-9:
            return float(_FLOOR_S * math.exp((index + 1) * _STEP))
    raise AssertionError("the counts of a histogram do not sum up to their sum")
