"""May time be compressed? Only if a recovery knows nothing of the gap before it, nor of how many came before.

Three permutation tests for each type: rank correlation (Spearman) of the recovery with the preceding gap and with the
order, and a change point of its mean (largest standardised CUSUM). All p-values together are held at 5 % by Holm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.analysis.frame import Floats
from harness.model.verdict import Finding, VerdictOutcome
from harness.soak.sample import Sample, TypeSample

__all__ = ["compression_finding", "holm", "permutation_p"]

PERMUTATIONS = 1999
TRIALS_MIN = 10  # below it not even a strong trend would be seen
LEVEL = 0.05


def compression_finding(sample: Sample, seed: int) -> Finding:
    """Whether the trials contradict the assumption; inconclusive when they do, or when they are too few to."""
    rng = np.random.default_rng(seed)
    title = "a recovery depends neither on the gap before it nor on how many came before"
    few = [one.fault.name for one in sample.types if one.n < TRIALS_MIN]
    tests = {f"{one.fault.name}: {what}": p for one in sample.types for what, p in _tests(one, rng)}
    broken = holm(tests)
    evidence = {name: round(p, 4) for name, p in tests.items()}
    if broken:
        reason = "time may not be compressed: " + "; ".join(f"{name} (p = {tests[name]:.3g})" for name in broken)
        return Finding("compression", title, VerdictOutcome.INCONCLUSIVE, reason, evidence)
    if few:
        reason = f"too few trials to test it ({TRIALS_MIN} needed) of {', '.join(few)}"
        return Finding("compression", title, VerdictOutcome.INCONCLUSIVE, reason, evidence)
    good = f"no sign of it in {len(tests)} tests" if tests else "every recovery was the same"
    return Finding("compression", title, VerdictOutcome.PASS, good, evidence)


def holm(p_values: dict[str, float], level: float = LEVEL) -> list[str]:
    """Names of the hypotheses that fall, by Holm's step-down procedure (Scandinavian Journal of Statistics, 1979)."""
    fallen = []
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p > level / (len(p_values) - place):
            break
        fallen.append(name)
    return fallen


def permutation_p(values: Floats, statistic: Callable[[Floats], Floats], rng: np.random.Generator) -> float:
    """Share of shuffles whose statistic is at least as large. `statistic` takes (m, n) rows and gives m numbers."""
    shuffled = rng.permuted(np.tile(values, (PERMUTATIONS, 1)), axis=1)
    seen = float(statistic(values[None, :])[0])
    return float((1 + np.sum(statistic(shuffled) >= seen - 1e-12)) / (PERMUTATIONS + 1))


def _tests(one: TypeSample, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    if one.n < TRIALS_MIN or one.downtime_s.min() == one.downtime_s.max():
        return
    ranks = _ranks(one.downtime_s)
    gaps = _ranks(np.array([trial.gap_s for trial in one.trials]))
    if gaps.min() < gaps.max():
        yield "recovery changes with the gap before it", permutation_p(ranks, _spearman(gaps), rng)
    order = np.arange(one.n, dtype=float)  # nights one after the other
    yield "recovery changes with the order", permutation_p(ranks, _spearman(order), rng)
    yield "recovery changes at one point", permutation_p(ranks, _cusum, rng)


def _ranks(values: Floats) -> Floats:
    """From 0 on; equal values get the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(ends - (counts + 1) / 2)[inverse]


def _spearman(others: Floats) -> Callable[[Floats], Floats]:
    centred = others - others.mean()

    def statistic(rows: Floats) -> Floats:
        return np.asarray(np.abs((rows - rows.mean(axis=1, keepdims=True)) @ centred))

    return statistic


def _cusum(rows: Floats) -> Floats:
    """The largest distance between the sums before and after a point, standardised for where the point is."""
    n = rows.shape[1]
    sums = np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1)[:, :-1]
    at = np.arange(1, n)
    return np.asarray(np.max(np.abs(sums) / np.sqrt(at * (n - at)), axis=1))
