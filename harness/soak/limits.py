"""What a projection does not show, in sentences, the most important first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.model.soak import SoakFile
from harness.model.soak_report import TypeResult
from harness.soak.sample import Sample
from harness.soak.week import profile_of

__all__ = ["what_it_does_not_show"]


def what_it_does_not_show(
    soak: SoakFile, sample: Sample, types: Sequence[TypeResult], watched_h: float
) -> tuple[str, ...]:
    """The first names model, host and the share of recovery spent loading: these do not carry over.

    `watched_h`: the longest stretch without a fault.
    """
    found = [_carry_over(sample)]
    hours = sum(night.duration_s for night in sample.nights) / 3600
    found.append(
        f"Nothing ran for {soak.days * 24:,} hours: {hours:.2g} h did. This is a projection calibrated on "
        f"{sample.trials} verified trials, and no soak."
    )
    assumed = [one.name for one, fault in zip(types, soak.faults, strict=True) if fault.rate.assumed]
    if assumed:
        found.append(f"How often {' and '.join(assumed)} happens is assumed; only the break-even rates say anything.")
    found.append("Faults that nobody injected are not in it, and declared rates are as good as their sources.")
    found += _of_trials(types)
    peak = profile_of(soak.week).peak * soak.load.rate_per_s
    if sample.nights and peak > sample.nights[-1].rate_per_s * 1.01:
        found.append(
            f"Trials ran at {sample.nights[-1].rate_per_s:g} requests a second; the month's peak is {peak:.3g}. Losses "
            "are scaled in proportion; queues and overload at the peak are not in it."
        )
    known = "what that adds to the worst month is told below" if soak.simulate else "a simulate block would show it"
    found.append(
        f"Faults do not overlap in it, and what one leaves behind (queues, retries) does not meet the next: {known}."
    )
    longest = f"the longest stretch without a fault is {watched_h:.2g} h" if watched_h else "no stretch was long enough"
    found.append(
        f"Ageing cannot be compressed: {longest}. Leaks show in its slopes, if at all; what expires, rotates or runs "
        "by the calendar shows in real time only."
    )
    found.append("All of it ran on one host: its network is not a network.")
    return tuple(found)


def _carry_over(sample: Sample) -> str:
    if not sample.nights:
        return "No night of trials can be believed, so nothing is shown."
    latest = sample.nights[-1]
    shares = [
        trial.loading_s / trial.verify_s
        for one in sample.types
        for trial in one.trials
        if trial.loading_s is not None and trial.verify_s
    ]
    loading = (
        f"{float(np.median(shares)):.0%} of a restarted replica's way back was loading (median of {len(shares)})"
        if shares
        else "how much of a recovery is loading was not seen"
    )
    return (
        f"The model is {latest.model}, the host {latest.host}, and {loading}: "
        "none of this carries over to 16 GB of weights on a GPU."
    )


def _of_trials(types: Sequence[TypeResult]) -> list[str]:
    found = []
    fewest = min(types, key=lambda one: one.n)
    unknown = [q for q in ("p50", "p90", "p95") if fewest.recovery[q].value is None]
    if unknown:
        found.append(f"{fewest.n} trials of {fewest.name} bound no {', '.join(unknown)} of its recovery.")
    if any(one.censored for one in types):
        found.append("Some trials ended before the service was back: their downtime is a lower bound.")
    return found
