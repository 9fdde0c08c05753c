"""Percentiles of a month's latencies: the fault-free ones, with what each of the month's faults puts in their place."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from harness.analysis.frame import Floats
from harness.soak.latency import merged, quantile_s
from harness.soak.months import DAY_S, Months
from harness.soak.sample import Sample, TypeSample

__all__ = ["month_percentiles"]

QUANTILES = (0.5, 0.95, 0.99)


def month_percentiles(sample: Sample, months: Months) -> dict[str, dict[str, float]]:
    """`latency_s_p50` and so on -> low, median and high of the months (95 %); {} without a fault-free stretch.

    Of good requests. A fault takes the place of as many fault-free requests as its trials had, at the load of its
    moment. The fault-free latencies are taken as they were measured: doubt about them is not in the range.
    """
    free = _shares(merged((one.latency_bins, 1.0) for one in sample.fault_free))
    if not free:
        return {}
    good = months.days * DAY_S * months.rate_per_s
    changes = [_change(one, free, months.rate_per_s) for one in sample.types]
    edges = sorted({index for one in (free, *changes) for index in one})
    table = np.array([[one.get(index, 0.0) for index in edges] for one in (free, *changes)])
    faults = np.column_stack([_load_of_faults(months, one.fault.name) for one in sample.types])
    counts = np.maximum(0.0, good * table[0] + faults @ table[1:])
    below = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    found = {}
    for quantile in QUANTILES:
        place = np.argmax(below >= quantile - 1e-12, axis=1)
        low, middle, high = np.quantile(place, [0.025, 0.5, 0.975], method="inverted_cdf").astype(int)
        values = {name: _edge_s(edges[at]) for name, at in (("low", low), ("median", middle), ("high", high))}
        found[f"latency_s_p{quantile * 100:g}"] = values
    return found


def _shares(bins: Mapping[int, float]) -> dict[int, float]:
    total = sum(bins.values())
    return {index: count / total for index, count in bins.items()} if total else {}


def _change(one: TypeSample, free: Mapping[int, float], rate_per_s: float) -> dict[int, float]:
    """What one fault at the mean load adds to the counts of the month, and takes away from them."""
    if one.n == 0:
        return {}
    scaled = (
        (trial.latency_bins, rate_per_s / rate / one.n) for trial, rate in zip(one.trials, one.rates, strict=True)
    )
    seen = merged(scaled)
    total = sum(seen.values())
    return {index: seen.get(index, 0.0) - total * free.get(index, 0.0) for index in {*seen, *free}}


def _load_of_faults(months: Months, name: str) -> Floats:
    """Faults of each month, each as much as the load at its moment; shape (size,)."""
    faults = months.faults[name]
    happens = faults.chance < months.shares[name]
    found = np.bincount(faults.month[happens], faults.load[happens], minlength=months.size)
    return np.asarray(found, dtype=np.float64)


def _edge_s(index: int) -> float:
    """The upper edge of a bin: never shown better than it was."""
    edge = quantile_s({index: 1.0}, 1.0)
    assert edge is not None and math.isfinite(edge)
    return edge
