"""What a plan can and cannot show, said before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.model.plan import Window
from harness.model.scenario import Scenario
from harness.plan.objectives import CLAIMS, quantile_of

__all__ = ["needed_episodes", "refusals", "resolution"]


def needed_episodes(quantile: float, confidence: float) -> int:
    """Smallest n at which the largest of n values bounds the quantile from above: n >= ln(1 - c) / ln q.

    Source: Hahn and Meeker, Statistical Intervals: distribution-free one-sided bounds by order statistics.
    """
    return math.ceil(math.log(1 - confidence) / math.log(quantile) - 1e-9)


def needed_requests(rate: float, confidence: float) -> int:
    """Smallest n of failure-free trials that shows a success rate of at least `rate`: n >= ln(1 - c) / ln(rate)."""
    return math.ceil(math.log(1 - confidence) / math.log(rate) - 1e-9)


def refusals(scenario: Scenario, windows: Sequence[Window]) -> list[str]:
    """Claims that the planned data could never pass, whatever it shows."""
    found = []
    baseline_n = scenario.load.rate_per_s * sum(w.end_s - w.begin_s for w in windows if w.phase == "baseline")
    for name, claim in scenario.claim.items():
        quantile = quantile_of(name)
        if quantile is not None:
            if not scenario.faults:
                found.append(f"claim.{name}: there are no faults, so there are no episodes to judge")
                continue
            need = needed_episodes(quantile, claim.confidence)
            if claim.min is not None:
                need = max(need, needed_episodes(1 - quantile, claim.confidence))
            if scenario.episodes < need:
                found.append(
                    f"claim.{name}: {scenario.episodes} episode{'s' * (scenario.episodes > 1)} can never show it at "
                    f"{claim.confidence:.0%} confidence; set episodes to {need} or more"
                )
        elif CLAIMS.get(name) == "requests":
            found += _rate_refusals(name, claim.min, claim.max, (claim.confidence, baseline_n))
    return found


def _rate_refusals(name: str, low: float | None, high: float | None, sample: tuple[float, float]) -> list[str]:
    confidence, n = sample
    found = []
    for limit in (low, None if high is None else 1 - high):
        if limit is None or limit <= 0:
            continue
        if limit >= 1:
            found.append(f"claim.{name}: no amount of data can show that something never happens; claim a rate below 1")
        elif n < needed_requests(limit, confidence):
            found.append(
                f"claim.{name}: about {n:,.0f} baseline requests can never show it at {confidence:.0%} confidence; "
                f"{needed_requests(limit, confidence):,} are needed: raise phases.baseline_s or load.rate_per_s"
            )
    return found


def resolution(scenario: Scenario) -> tuple[str, ...]:
    """Sentences on what this plan can resolve."""
    sentences = []
    if scenario.faults:
        can = [f"p{q}" for q in (50, 90, 95, 99) if scenario.episodes >= needed_episodes(q / 100, 0.95)]
        cannot = [q for q in (50, 90, 95, 99) if scenario.episodes < needed_episodes(q / 100, 0.95)]
        if can:
            sentences.append(f"{', '.join(can)} of recovery can be bounded with 95 % confidence")
        if cannot:
            need = needed_episodes(cannot[0] / 100, 0.95)
            sentences.append(f"p{cannot[0]} of recovery cannot ({need} episodes needed, {scenario.episodes} planned)")
        gap_ms = 1000 / scenario.load.rate_per_s
        sentences.append(f"a recovery time is known to about ±{gap_ms:,.0f} ms, the mean gap between requests")
    baseline = scenario.load.rate_per_s * scenario.phases.baseline_s
    if baseline >= 3:
        rate = 0.05 ** (1 / baseline)
        sentences.append(f"about {baseline:,.0f} baseline requests can show a success rate of {rate:.2%}, not more")
    return tuple(sentences)
