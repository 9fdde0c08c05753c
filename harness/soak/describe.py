"""What each fault type does to users and to the month's budget, and what would buy most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.analysis.frame import Floats
from harness.analysis.intervals import recovery_quantile
from harness.model.soak import SoakFile
from harness.model.soak_report import Improvement, TypeResult
from harness.model.verdict import Estimate, Interval
from harness.soak.costs import mean_interval
from harness.soak.months import DAY_S, Months, Scale, evaluate
from harness.soak.objectives import met_share
from harness.soak.pages import TIERS, raised
from harness.soak.rates import rate_bounds
from harness.soak.sample import Sample, TypeSample

__all__ = ["describe_types", "improvements", "lost_per_month"]

MEAN_MIN_N = 10  # below it the mean's interval covers less than it says
STAGES = ("detect_s", "isolate_s", "restore_s", "verify_s", "loading_s")


def lost_per_month(months: Months, name: str) -> float:
    """Requests that faults of a type cost, mean over months."""
    faults = months.faults[name]
    happens = faults.chance < months.shares[name]
    return float((faults.cost_s * faults.load)[happens].sum()) * months.rate_per_s / months.size


def describe_types(soak: SoakFile, sample: Sample, months: Months) -> tuple[TypeResult, ...]:
    """One result per type, in the file's order."""
    budget = (1 - soak.slo) * months.days * DAY_S * months.rate_per_s
    return tuple(_describe(one, soak, months, budget) for one in sample.types)


def _describe(one: TypeSample, soak: SoakFile, months: Months, budget: float) -> TypeResult:
    rate, bounds = one.fault.rate, rate_bounds(one.fault.rate)
    per_month = lost_per_month(months, one.fault.name)
    spans = [None if trial.recovery_s is None else Interval(*trial.recovery_s) for trial in one.trials]
    words = "assumed: no data" if rate.assumed else f"{rate.events} in {rate.exposure_days:g} days: {rate.source}"
    method = "range of the guess" if rate.assumed else "exact (Garwood)"
    loading = [t.loading_s / t.verify_s for t in one.trials if t.loading_s is not None and t.verify_s]
    return TypeResult(
        name=one.fault.name,
        injects=tuple(f"{fault.kind} on {fault.on}" for fault in one.fault.inject),
        n=one.n,
        thrown_out=one.thrown_out,
        censored=one.censored,
        incidents=one.incidents,
        rate=words,
        per_30_days=Estimate(bounds.per_day * 30, bounds.low * 30, bounds.high * 30, 0.95, method, rate.events or 0),
        lost=_mean(one.cost_s * months.rate_per_s),
        recovery={f"p{q}": recovery_quantile(spans, q / 100, 0.95) for q in (50, 90, 95)},
        stages={name: _median([getattr(trial, name) for trial in one.trials]) for name in STAGES},
        loading_share=float(np.median(loading)) if loading else None,
        slow_mean=float(np.mean([trial.slow for trial in one.trials])) if one.trials else None,
        wrong=sum(trial.wrong for trial in one.trials),
        recoveries=tuple((0.0, 0.0) if trial.recovery_s is None else trial.recovery_s for trial in one.trials),
        pages=_pages(one, soak, months.rate_per_s),
        lost_per_month=per_month,
        budget_share=per_month / budget,
    )


def _mean(costs: Floats) -> Estimate:
    n = int(costs.size)
    if n == 0:
        return Estimate(None, None, None, 0.95, "not estimable: no verified trial", 0)
    value = float(costs.mean())
    if n < MEAN_MIN_N:
        return Estimate(value, None, None, 0.95, f"mean; no interval from {n} trials ({MEAN_MIN_N} needed)", n)
    low, high = mean_interval(costs, 0.95, np.random.default_rng(0))
    return Estimate(value, low, high, 0.95, f"bootstrap-t on the log scale over {n} trials", n)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _pages(one: TypeSample, soak: SoakFile, rate_per_s: float) -> Mapping[str, float]:
    """Only tiers that can be told at this rate."""
    found = [raised(float(c), t, soak.slo, rate_per_s) for c, t in zip(one.cost_s, one.trials, strict=True)]
    shares = {}
    for tier in TIERS:
        known = [value for trial in found if (value := trial[tier.name]) is not None]
        if known:
            shares[tier.name] = float(np.mean(known))
    return shares


def improvements(soak: SoakFile, sample: Sample, months: Months) -> tuple[Improvement, ...]:
    """Halving what each fault costs, and what is lost without any fault; the best first."""
    seconds = months.days * DAY_S
    before = evaluate(months)
    found = []
    for one in sample.types:
        after = evaluate(months, {one.fault.name: Scale(cost=0.5)})
        saved = float(np.mean(before["lost_s"] - after["lost_s"])) * months.rate_per_s
        found.append(_improvement(_what(one), saved, after["success_rate"], soak))
    outage = np.minimum(1.0, before["lost_s"] / seconds)
    steadier = (1 - outage) * (1 - months.lost_share / 2)
    saved = float(np.mean(months.lost_share)) / 2 * seconds * months.rate_per_s
    found.append(_improvement("halving what is lost without any fault (in part only doubt)", saved, steadier, soak))
    return tuple(sorted(found, key=lambda one: -one.lost_saved))


def _what(one: TypeSample) -> str:
    loading = _median([trial.loading_s for trial in one.trials])
    recovery = _median([trial.downtime_s for trial in one.trials])
    part = f" (median {recovery:.1f} s" if recovery is not None else ""
    part += f", of a restart {loading:.1f} s are loading" if loading is not None and part else ""
    return f"halving the recovery of {one.fault.name}{part}{')' if part else ''}"


def _improvement(what: str, saved: float, success: Floats, soak: SoakFile) -> Improvement:
    claim = soak.objectives.get("success_rate")
    return Improvement(what, saved, float(np.median(success)), met_share(success, claim) if claim else None)
