"""The 30-day table: what is projected of each objective, P(met), and what an assumed rate may be at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.frame import Floats
from harness.model.scenario import Claim
from harness.model.soak import SoakFile
from harness.model.soak_report import BreakEven, ObjectiveResult
from harness.model.verdict import Estimate, VerdictOutcome
from harness.soak.months import Months, Scale, evaluate
from harness.soak.rates import rate_bounds
from harness.soak.sample import Sample

__all__ = ["judge_objectives", "met_share"]

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE
_GRID = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 24)])  # shares of a guess's range
METHOD = "prediction interval of one month: {months:,} months from {trials} trials"


@dataclass(frozen=True)
class _Curve:
    """P(met) of every objective along the range of one assumed rate, the others as declared."""

    fault_type: str
    end_per_30_days: float
    met: Mapping[str, Floats]  # objective -> P(met) at each share of _GRID


def judge_objectives(soak: SoakFile, sample: Sample, months: Months) -> tuple[ObjectiveResult, ...]:
    """One row for each objective of the file, in its order."""
    values = evaluate(months)
    assumed = [one.fault.name for one in sample.types if one.fault.rate.assumed]
    extremes: tuple[dict[str, Floats], dict[str, Floats]] | None = None
    curves: list[_Curve] = []
    if assumed:
        most = evaluate(months, {name: Scale(share=1.0) for name in assumed})
        none = evaluate(months, {name: Scale(share=0.0) for name in assumed})
        extremes = most, none
        curves = [_curve(soak, months, name) for name in assumed]
    missing = [one.fault.name for one in sample.types if one.n == 0]
    if missing or not sample.fault_free_requests:
        what = f"no verified trial of {', '.join(missing)}" if missing else "no fault-free stretch"
        return tuple(_not_estimable(name, claim, what) for name, claim in soak.objectives.items())
    return tuple(
        _row(name, claim, (values, extremes, curves), sample, months) for name, claim in soak.objectives.items()
    )


def met_share(values: Floats, claim: Claim) -> float:
    """Share of months in which the limit is kept."""
    low = -np.inf if claim.min is None else claim.min
    high = np.inf if claim.max is None else claim.max
    return float(np.mean((values >= low) & (values <= high)))


Projected = tuple[dict[str, Floats], tuple[dict[str, Floats], dict[str, Floats]] | None, Sequence[_Curve]]


def _row(name: str, claim: Claim, projected: Projected, sample: Sample, months: Months) -> ObjectiveResult:
    values, extremes, curves = projected
    chosen = values[name]
    low, median, high = (float(v) for v in np.quantile(chosen, [0.025, 0.5, 0.975], method="inverted_cdf"))
    method = METHOD.format(months=months.size, trials=sample.trials)
    estimate = Estimate(median, low, high, 0.95, method, sample.trials)
    share, spread = met_share(chosen, claim), None
    if extremes is not None:
        spread = (met_share(extremes[0][name], claim), met_share(extremes[1][name], claim))
    outcome, reason = _decide(claim.confidence, share, spread)
    return ObjectiveResult(
        name=name,
        minimum=claim.min,
        maximum=claim.max,
        confidence=claim.confidence,
        projected=estimate,
        p_met=None if spread else share,
        p_met_range=spread,
        break_even=tuple(_break_even(curve, name, claim.confidence) for curve in curves),
        outcome=outcome,
        reason=reason,
        rests_on=_rests_on(sample),
    )


def _decide(confidence: float, share: float, spread: tuple[float, float] | None) -> tuple[VerdictOutcome, str]:
    """Pass or fail only when the whole range of what is assumed lies on one side."""
    worst, best = spread or (share, share)
    shown = f"{worst:.1%}" if worst == best else f"{worst:.1%} to {best:.1%}, by the assumed rates"
    if min(worst, best) >= confidence:
        return PASS, f"kept in {shown} of the months"
    if max(worst, best) <= 1 - confidence:
        return FAIL, f"kept in {shown} of the months only"
    return INCONCLUSIVE, f"kept in {shown} of the months: neither {confidence:.0%} nor {1 - confidence:.0%}"


def _not_estimable(name: str, claim: Claim, what: str) -> ObjectiveResult:
    estimate = Estimate(None, None, None, 0.95, f"not estimable: {what}", 0)
    outcome = INCONCLUSIVE
    return ObjectiveResult(
        name, claim.min, claim.max, claim.confidence, estimate, None, None, (), outcome, f"not estimable: {what}", ""
    )


def _curve(soak: SoakFile, months: Months, name: str) -> _Curve:
    fault = next(one for one in soak.faults if one.name == name)
    met: dict[str, list[float]] = {objective: [] for objective in soak.objectives}
    for share in _GRID:
        values = evaluate(months, {name: Scale(share=float(share))})
        for objective, claim in soak.objectives.items():
            met[objective].append(met_share(values[objective], claim))
    end = rate_bounds(fault.rate).high * 30
    return _Curve(name, end, {objective: np.array(shares) for objective, shares in met.items()})


def _break_even(curve: _Curve, objective: str, confidence: float) -> BreakEven:
    """The first place on the grid at which P(met) falls below `confidence`, between its two neighbours by a line."""
    shares = curve.met[objective]
    below = np.flatnonzero(shares < confidence)
    if below.size == 0:
        return BreakEven(curve.fault_type, None, f"kept up to {curve.end_per_30_days:.3g} per 30 days")
    first = int(below[0])
    if first == 0:
        return BreakEven(curve.fault_type, None, "not kept even without it")
    left, right = shares[first - 1], shares[first]
    at = _GRID[first - 1] + (_GRID[first] - _GRID[first - 1]) * (left - confidence) / (left - right)
    per_30_days = float(at) * curve.end_per_30_days
    return BreakEven(curve.fault_type, per_30_days, f"kept up to {per_30_days:.2g} per 30 days")


def _rests_on(sample: Sample) -> str:
    counted = sum(not one.fault.rate.assumed for one in sample.types)
    guesses = len(sample.types) - counted
    rates = f"{counted} counted" + (f" and {guesses} assumed" if guesses else "")
    return (
        f"{sample.trials} verified trials, {sample.fault_free_requests:,} fault-free requests, "
        f"{rates} rate{'s' * (len(sample.types) != 1)}"
    )
