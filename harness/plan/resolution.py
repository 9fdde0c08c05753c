"""What a plan can and cannot show, said before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.model.scenario import Claim, Scenario
from harness.plan.objectives import quantile_of

__all__ = ["needed_episodes", "refusals", "resolution"]

BASELINE_MIN_N = 20  # as in harness.analysis.validity, which must not be imported here


def needed_episodes(quantile: float, confidence: float) -> int:
    """Smallest n at which the largest of n values bounds the quantile from above: n >= ln(1 - c) / ln q.

    Source: Hahn and Meeker, Statistical Intervals: distribution-free one-sided bounds by order statistics.
    """
    return math.ceil(math.log(1 - confidence) / math.log(quantile) - 1e-9)


def needed_requests(rate: float, confidence: float) -> int:
    """Smallest n of failure-free trials that shows a success rate of at least `rate`: n >= ln(1 - c) / ln(rate)."""
    return math.ceil(math.log(1 - confidence) / math.log(rate) - 1e-9)


def refusals(scenario: Scenario, baseline_n: int) -> Iterator[tuple[str, str]]:
    """Claims that the planned data could never pass, whatever it shows: the claim's path and why."""
    for name, claim in scenario.claim.items():
        quantile = quantile_of(name)
        if quantile is not None:
            why = _of_quantile(scenario, claim, quantile)
        else:
            why = _of_rate(claim.min, claim.max, claim.confidence, baseline_n)
        if why:
            yield f"claim.{name}", why


def _of_quantile(scenario: Scenario, claim: Claim, quantile: float) -> str:
    if not scenario.faults:
        return "there are no faults, so there are no episodes to judge"
    need = needed_episodes(quantile, claim.confidence)  # fewer, and the judge calls it not estimable
    if claim.min is not None:
        need = max(need, needed_episodes(1 - quantile, claim.confidence))
    if scenario.episodes >= need:
        return ""
    episodes = f"{scenario.episodes} episode{'s' * (scenario.episodes > 1)}"
    return f"{episodes} can never show it at {claim.confidence:.0%} confidence; set episodes to {need} or more"


def _of_rate(low: float | None, high: float | None, confidence: float, baseline_n: int) -> str:
    for limit in (low, None if high is None else 1 - high):
        if limit is None or limit <= 0:
            continue
        if limit >= 1:
            return "no amount of data can show that something never happens; claim a rate below 1"
        if baseline_n < (need := needed_requests(limit, confidence)):
            return (
                f"the {baseline_n:,} baseline requests can never show it at {confidence:.0%} confidence; "
                f"{need:,} are needed: raise phases.baseline_s or load.rate_per_s"
            )
    return ""


def resolution(scenario: Scenario, baseline_n: int) -> tuple[str, ...]:
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
    if baseline_n < BASELINE_MIN_N:
        sentences.append(f"{baseline_n} baseline requests cannot show a steady baseline ({BASELINE_MIN_N} needed)")
    else:
        rate = 0.05 ** (1 / baseline_n)
        sentences.append(f"{baseline_n:,} baseline requests can show a success rate of {rate:.2%}, not more")
    return tuple(sentences)
