"""Does the model tell what was measured? Checked every night; a failure makes the projection inconclusive."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from harness.analysis.frame import Floats
from harness.model.soak import SoakFile
from harness.model.soak_trials import Night, Trial
from harness.model.verdict import Finding, VerdictOutcome
from harness.soak.costs import kernel_width, mean_factors, smooth
from harness.soak.months import evaluate, project_months
from harness.soak.rates import draw_shares
from harness.soak.sample import Sample, sample_of

__all__ = ["anchor", "back_test", "predicted_loss"]

DRAWS = 10_000
HALF_MIN = 5  # trials of each type in each half, below which the halves say nothing of each other
KS_LEVEL = 0.01
PASS, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.INCONCLUSIVE


def back_test(soak: SoakFile, sample: Sample, seed: int) -> tuple[Finding, ...]:
    """Every gate, passed or not."""
    if not sample.nights:
        return ()
    latest = sample.nights[-1]
    rng = np.random.default_rng(seed)
    found = [
        _schedule(sample, latest, rng),
        _halves(soak, sample, rng),
        *_earlier(soak, sample, rng),
        _recoveries(sample),
        _conservation(sample.nights),
        _same_bytes(soak, sample, seed),
    ]
    return tuple(found)


def predicted_loss(sample: Sample, night: Night, trials: Sequence[Trial], rng: np.random.Generator) -> Floats:
    """Requests lost in exactly these trials and the night's fault-free stretch, as `sample` predicts it: DRAWS times.

    NaN when `sample` has no verified trial of a type that occurs.
    """
    free = night.fault_free
    requests = sum(one.requests for one in trials) + (free.requests if free else 0)
    share = draw_shares(sample.fault_free_lost, sample.fault_free_requests, DRAWS, rng)
    total = rng.binomial(requests, share).astype(float)
    for one in sample.types:
        count = sum(trial.fault_type == one.fault.name for trial in trials)
        if count and one.n == 0:
            return np.full(DRAWS, np.nan)
        if count:
            pick = one.cost_s[rng.integers(0, one.n, (DRAWS, count))]
            spread = smooth(DRAWS * count, kernel_width(one.cost_s), rng).reshape(DRAWS, count)
            costs = (pick * spread).sum(axis=1) * mean_factors(one.cost_s, DRAWS, rng)
            total += costs * night.rate_per_s
    return total


def anchor(sample: Sample, nights: Sequence[Night], seed: int) -> Finding | None:
    """Real time against the projection: what its legs lost, and what their very faults should have. None: no leg."""
    if not sample.nights:
        return None
    legs = [one for one in nights if one.real_time and one.pool == sample.nights[-1].pool and one.trusted]
    if not legs:
        return None
    rng = np.random.default_rng(seed)
    seen, predicted = 0.0, np.zeros(DRAWS)
    for leg in legs:
        trials = [one for one in leg.trials if one.valid]
        seen += _lost(leg, trials)
        predicted += predicted_loss(sample, leg, trials, rng)
    hours = sum(leg.duration_s for leg in legs) / 3600
    return _inside(
        "backtest.real_time", f"{hours:.2g} h of real time lost what is projected of them", seen, predicted, 0.95
    )


def _inside(check: str, title: str, seen: float, predicted: Floats, confidence: float) -> Finding:
    if np.isnan(predicted).any():
        return Finding(check, title, INCONCLUSIVE, "a fault type has no verified trial, so nothing is predicted of it")
    tail = (1 - confidence) / 2
    low, high = (float(v) for v in np.quantile(predicted, [tail, 1 - tail], method="inverted_cdf"))
    low, high = math.floor(low), math.ceil(high)
    inside = low <= seen <= high
    reason = (
        f"{seen:,.0f} requests were lost; predicted {low:,.0f} to {high:,.0f} ({confidence:.1%})"
        f"{'' if inside else ': the model does not tell what was measured'}"
    )
    return Finding(check, title, PASS if inside else INCONCLUSIVE, reason, {"lost": seen, "low": low, "high": high})


def _lost(night: Night, trials: Sequence[Trial], *, with_free: bool = True) -> float:
    free = night.fault_free.lost if with_free and night.fault_free else 0
    return float(sum(one.lost for one in trials) + free)


def _schedule(sample: Sample, night: Night, rng: np.random.Generator) -> Finding:
    trials = [one for one in night.trials if one.valid]
    predicted = predicted_loss(sample, night, trials, rng)
    title = "the latest night's schedule, simulated as it was, loses what was lost"
    return _inside("backtest.schedule", title, _lost(night, trials), predicted, 0.95)


def _halves(soak: SoakFile, sample: Sample, rng: np.random.Generator) -> Finding:
    """Each half of the latest night predicts the other: trials that the prediction has not seen."""
    check, title = "backtest.held_out", "each half of the latest night predicts the other"
    night = sample.nights[-1]
    middle = (len(night.trials) + 1) // 2
    halves = [replace(night, trials=part) for part in (night.trials[:middle], night.trials[middle:])]
    samples = [sample_of(soak, [half]) for half in halves]
    if any(one.n < HALF_MIN for part in samples for one in part.types):
        return Finding(check, title, INCONCLUSIVE, f"a half has fewer than {HALF_MIN} verified trials of some type")
    worst: Finding | None = None
    for predictor, half in ((samples[0], halves[1]), (samples[1], halves[0])):
        trials = [one for one in half.trials if one.valid]
        one = _inside(check, title, _lost(half, trials), predicted_loss(predictor, half, trials, rng), 0.975)
        worst = one if worst is None or one.outcome is not PASS else worst
    assert worst is not None
    return worst


def _earlier(soak: SoakFile, sample: Sample, rng: np.random.Generator) -> Iterator[Finding]:
    if len(sample.nights) < 2:
        return
    night = sample.nights[-1]
    before = sample_of(soak, sample.nights[:-1])
    trials = [one for one in night.trials if one.valid]
    title = "earlier nights predict the latest"
    yield _inside("backtest.earlier", title, _lost(night, trials), predicted_loss(before, night, trials, rng), 0.95)


def _recoveries(sample: Sample) -> Finding:
    """Kolmogorov-Smirnov between early and late recoveries of each type, at 1 % together (Bonferroni)."""
    check, title = "backtest.recoveries", "early and late recoveries of each type are alike"
    tested = [one for one in sample.types if one.n >= 2 * HALF_MIN]
    if not tested:
        return Finding(check, title, INCONCLUSIVE, f"no type has {2 * HALF_MIN} verified trials")
    p_values = {one.fault.name: _ks_p(one.downtime_s[: one.n // 2], one.downtime_s[one.n // 2 :]) for one in tested}
    bad = [name for name, p in p_values.items() if p < KS_LEVEL / len(p_values)]
    evidence = {name: round(p, 4) for name, p in p_values.items()}
    if bad:
        return Finding(check, title, INCONCLUSIVE, f"they differ for {', '.join(bad)}", evidence)
    return Finding(check, title, PASS, f"no difference in {len(tested)} types", evidence)


def _ks_p(one: Floats, other: Floats) -> float:
    """Asymptotic p-value of the two-sample statistic; ties make it conservative."""
    at = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(part), at, side="right") / part.size for part in (one, other)]
    distance = float(np.max(np.abs(below[0] - below[1])))
    size = one.size * other.size / (one.size + other.size)
    return float(special.kolmogorov(distance * math.sqrt(size)))


def _conservation(nights: Sequence[Night]) -> Finding:
    check, title = (
        "backtest.conservation",
        "every request of every night is in exactly one trial or the fault-free stretch",
    )
    for night in nights:
        free = night.fault_free
        requests = sum(one.requests for one in night.trials) + (free.requests if free else 0)
        lost = sum(one.lost for one in night.trials) + (free.lost if free else 0)
        if (requests, lost) != (night.scheduled, night.lost):
            reason = (
                f"{night.run_id}: {night.scheduled:,} requests and {night.lost:,} lost in all, "
                f"but {requests:,} and {lost:,} in its parts"
            )
            return Finding(check, title, INCONCLUSIVE, reason)
    total = sum(night.scheduled for night in nights)
    return Finding(check, title, PASS, f"{total:,} requests", {"requests": total})


def _same_bytes(soak: SoakFile, sample: Sample, seed: int) -> Finding:
    check, title = "backtest.repeatable", "the same seed gives the same bytes"
    digests = {_digest(soak, sample, seed) for _ in range(2)}
    same = len(digests) == 1
    reason = f"sha256 {sorted(digests)[0][:16]}" if same else "two projections with one seed differ"
    return Finding(check, title, PASS if same else INCONCLUSIVE, reason)


def _digest(soak: SoakFile, sample: Sample, seed: int) -> str:
    values = evaluate(project_months(soak, sample, seed, 500))
    return hashlib.sha256(b"".join(values[name].tobytes() for name in sorted(values))).hexdigest()
