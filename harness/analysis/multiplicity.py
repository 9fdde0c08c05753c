"""Many claims at once: with twenty claims at 95 % confidence one is expected to hold by chance alone.

Holm's step-down method (Holm 1979, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6)
keeps the chance that any false claim is called true at one minus the confidence, whatever the claims' dependence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model.pairs import CatalogueClaim
from harness.model.verdict import Finding, VerdictOutcome

__all__ = ["catalogue_claims", "holm"]


def holm(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Which of the hypotheses with these p-values are rejected, family-wise error rate at most `alpha`."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def catalogue_claims(
    findings: Iterable[tuple[str, Sequence[Finding]]], confidence: float = 0.95
) -> tuple[CatalogueClaim, ...]:
    """The claims of many scenarios, corrected for their number; one that was not estimable counts as never shown."""
    every = [(scenario, one) for scenario, found in findings for one in found]
    p_values = [float(one.evidence.get("p_value") or 0.0) if _estimable(one) else 1.0 for _, one in every]
    hold = holm(p_values, 1 - confidence)
    return tuple(
        CatalogueClaim(scenario, one.title, p, one.outcome is VerdictOutcome.PASS, together)
        for (scenario, one), p, together in zip(every, p_values, hold, strict=True)
    )


def _estimable(one: Finding) -> bool:
    return one.evidence.get("p_value") is not None
