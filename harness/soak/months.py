"""Projected months: renewal-reward over the measured trials, ten thousand months at once.

Faults of a type arrive as a Poisson process (of clusters, if they come in bursts) at a rate drawn from its posterior
for each month; each costs what a measured trial cost, as seconds of full outage, times the load at its moment. Faults
do not overlap here, and none leaves a queue behind: that is what the per-request simulator is for.
Sources: Ross, Stochastic Processes, ch. 3 (renewal-reward); statistics of compound Poisson sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from harness.analysis.frame import Floats
from harness.model.errors import Problem, ScenarioError
from harness.model.soak import SoakFile
from harness.soak.costs import kernel_width, mean_factors, smooth
from harness.soak.rates import draw_rates, draw_shares, rate_bounds
from harness.soak.sample import Sample, TypeSample
from harness.soak.week import Profile, profile_of

__all__ = ["DAY_S", "MONTHS", "Faults", "Months", "Scale", "evaluate", "project_months"]

MONTHS = 10_000
MONTHS_LEAST = 1_000  # fewer, and P(met) is a matter of luck
FAULTS_MOST = 2e6  # in all months together: about 200 MB
DAY_S = 86_400.0
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Faults:
    """Faults of one type in all months; arrays of one length. Of an assumed type, at the end of its range."""

    month: Indices
    at_day: Floats
    load: Floats  # factor of the mean load at that moment
    cost_s: Floats  # seconds of full outage at the mean load
    downtime_s: Floats
    incident: Flags
    extra_latency_s: Floats
    in_flight_per_rate: Floats
    chance: Floats  # 0 to 1: the fault happens when the rate is at least this share of the range's end


@dataclass(frozen=True)
class Months:
    """`size` months of `days` days. Arrays of shape (size,)."""

    size: int
    days: int
    rate_per_s: float
    faults: Mapping[str, Faults]
    shares: Mapping[str, float]  # of a guess's range at which it is taken: guess / end; 1 for counted rates
    lost_share: Floats  # of requests when there is no fault
    latency_s: Floats  # mean, of good requests when there is no fault
    in_flight: Floats  # most at once when there is no fault


@dataclass(frozen=True)
class Scale:
    """What if: a type's range share and its cost, as factors. The default changes nothing."""

    share: float | None = None  # None: as declared
    cost: float = 1.0


def project_months(soak: SoakFile, sample: Sample, seed: int, size: int = MONTHS) -> Months:
    """Draw them; the same seed gives the same months. Types without a verified trial cost nothing here: say so.

    Fewer months are drawn than asked for when they would hold more than FAULTS_MOST faults, but at least MONTHS_LEAST.
    Raises ScenarioError when not even these can be held.
    """
    rng = np.random.default_rng(seed)
    size = _affordable(soak, size)
    profile = profile_of(soak.week)
    faults = {one.fault.name: _faults(one, profile, (size, soak.days), rng) for one in sample.types}
    rate = soak.load.rate_per_s
    free, lost = sample.fault_free_requests, sample.fault_free_lost
    return Months(
        size=size,
        days=soak.days,
        rate_per_s=rate,
        faults=faults,
        shares={one.fault.name: _share(one) for one in sample.types},
        lost_share=draw_shares(lost, free, size, rng),
        latency_s=_latency(sample, size, rng),
        in_flight=_in_flight(sample, rate * profile.peak, (size, soak.days), rng),
    )


def _affordable(soak: SoakFile, size: int) -> int:
    each = sum(rate_bounds(one.rate).high for one in soak.faults) * soak.days
    most = int(FAULTS_MOST / max(each, 1e-9))
    if most < MONTHS_LEAST:
        what = (
            f"faults: up to {each:,.0f} faults in {soak.days} days is a way to run, not a fault rate; lower the rates"
        )
        raise ScenarioError([Problem(soak.file, soak.lines.get("faults", 1), what)])
    return min(size, most)


def evaluate(months: Months, what_if: Mapping[str, Scale] | None = None) -> dict[str, Floats]:
    """Objective -> its value in each month, shape (size,)."""
    scales = what_if or {}
    seconds = months.days * DAY_S
    lost_s, downtime_s, extra_s = np.zeros(months.size), np.zeros(months.size), np.zeros(months.size)
    failures, in_flight = np.zeros(months.size), months.in_flight.copy()
    for name, faults in months.faults.items():
        scale = scales.get(name, Scale())
        happens = faults.chance < (months.shares[name] if scale.share is None else scale.share)
        month, load = faults.month[happens], faults.load[happens]

        def total(values: Floats, month: Indices = month) -> Floats:
            return np.asarray(np.bincount(month, values, minlength=months.size), dtype=np.float64)

        lost_s += total(faults.cost_s[happens] * load) * scale.cost
        downtime_s += total(faults.downtime_s[happens]) * scale.cost
        extra_s += total(faults.extra_latency_s[happens] * load)
        failures += total(faults.incident[happens].astype(float))
        np.maximum.at(in_flight, month, np.floor(faults.in_flight_per_rate[happens] * load * months.rate_per_s))
    outage = np.minimum(1.0, lost_s / seconds)
    good_s = np.maximum(seconds * (1 - outage), 1e-9)
    return {
        "success_rate": (1 - outage) * (1 - months.lost_share),
        "failures": failures,
        "downtime_s": np.minimum(downtime_s, seconds),
        "latency_s_mean": months.latency_s + extra_s / good_s,
        "concurrency_max": in_flight,
        "lost_s": lost_s,
    }


def _share(one: TypeSample) -> float:
    bounds = rate_bounds(one.fault.rate)
    return bounds.per_day / bounds.high if one.fault.rate.assumed else 1.0


def _faults(one: TypeSample, profile: Profile, shape: tuple[int, int], rng: np.random.Generator) -> Faults:
    size, days = shape
    clusters = rng.poisson(draw_rates(one.fault.rate, size, rng) * days / one.fault.burst_mean)
    per_cluster = np.ones(int(clusters.sum()), dtype=np.int64)
    if one.fault.burst_mean > 1:
        per_cluster = rng.geometric(1 / one.fault.burst_mean, per_cluster.size)
    month = np.repeat(np.repeat(np.arange(size), clusters), per_cluster)
    at_day, load = profile.moments(per_cluster.size, days, rng, busy=one.fault.when == "busy")
    chance = rng.random(per_cluster.size)
    count = month.size
    if one.n == 0:
        nothing = np.zeros(count)
        costs, downtimes, extra, in_flight, incident = nothing, nothing, nothing, nothing, np.zeros(count, dtype=bool)
    else:
        pick = rng.integers(0, one.n, count)
        costs = one.cost_s[pick] * mean_factors(one.cost_s, size, rng)[month]
        costs = costs * smooth(count, kernel_width(one.cost_s), rng)
        downtimes = one.downtime_s[pick] * mean_factors(one.downtime_s, size, rng)[month]
        extra, in_flight = one.extra_latency_s[pick], one.in_flight_per_rate[pick]
        incident = rng.random(count) < draw_shares(one.incidents, one.n, size, rng)[month]
    return Faults(
        month=month,
        at_day=np.repeat(at_day, per_cluster),
        load=np.repeat(load, per_cluster),
        cost_s=costs,
        downtime_s=downtimes,
        incident=incident,
        extra_latency_s=extra,
        in_flight_per_rate=in_flight,
        chance=np.repeat(chance, per_cluster),
    )


def _latency(sample: Sample, size: int, rng: np.random.Generator) -> Floats:
    """Around the mean, by Student's t over minutes (one minute's requests are not independent); NaN: no data."""
    minutes = sample.minute_means_s
    mean = sample.latency_s_mean
    if mean is None:
        return np.full(size, np.nan)
    if minutes.size < 3:
        return np.full(size, mean)
    error = float(minutes.std(ddof=1) / np.sqrt(minutes.size))
    return np.asarray(np.maximum(0.0, mean + error * rng.standard_t(minutes.size - 1, size)), dtype=np.float64)


def _in_flight(sample: Sample, peak_per_s: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """The largest of a month's independent looks at a Poisson number: rate at the peak x latency (Little's law)."""
    size, days = shape
    latency_s = sample.latency_s_mean
    if not latency_s:
        return np.zeros(size)
    looks = days * 3600.0 / latency_s  # an hour a day at the peak
    most = special.pdtrik(rng.random(size) ** (1 / looks), peak_per_s * latency_s)
    return np.ceil(np.asarray(most, dtype=np.float64))
