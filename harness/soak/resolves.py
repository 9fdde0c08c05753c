"""What a night's budget can resolve, said before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.model.soak import SoakFile
from harness.plan.resolution import needed_episodes, needed_requests
from harness.soak.rates import count_bounds
from harness.soak.schedule import NightSchedule
from harness.soak.week import profile_of

__all__ = ["what_it_can_resolve"]


def what_it_can_resolve(soak: SoakFile, schedule: NightSchedule, earlier: int = 0) -> tuple[str, ...]:
    """Sentences. `earlier`: verified trials of the rarest type that are in the store already and will be pooled."""
    n = schedule.trials_per_type + earlier
    return (*_of_trials(soak, schedule, n), *_of_objectives(soak), *_of_compression(soak))


def _of_trials(soak: SoakFile, schedule: NightSchedule, n: int) -> Iterator[str]:
    new = schedule.trials_per_type
    pooled = f", {n} with those in the store" if n > new else ""
    yield f"{len(schedule.types)} trials, {new} of each of {len(soak.faults)} fault types{pooled}"
    least = soak.measure.trials_min
    if n < least:
        nights = math.ceil((least - n) / max(1, new))
        more = f"{nights} more such night{'s' * (nights > 1)}"
        yield f"INCONCLUSIVE to be expected: {least} of each are needed; {more}, or a larger budget, would do"
    can = [f"p{q}" for q in (50, 90, 95, 99) if n >= needed_episodes(q / 100, 0.95)]
    cannot = [q for q in (50, 90, 95, 99) if n < needed_episodes(q / 100, 0.95)]
    if can:
        yield f"{', '.join(can)} of each recovery can be bounded with 95 % confidence"
    if cannot:
        yield f"p{cannot[0]} cannot ({needed_episodes(cannot[0] / 100, 0.95)} trials of each are needed)"


def _of_objectives(soak: SoakFile) -> Iterator[str]:
    assumed = [one.name for one in soak.faults if one.rate.assumed]
    if assumed:
        yield f"no P(met), but break-even rates and a range: the rate of {', '.join(assumed)} is assumed"
    requests = int(soak.measured_rate_per_s * soak.measure.fault_free_s)
    rate = soak.objectives.get("success_rate")
    if rate is not None and rate.min is not None and rate.min < 1:
        need = needed_requests(rate.min, rate.confidence)
        verb = "can" if requests >= need else "cannot"
        yield (
            f"success_rate: {requests:,} fault-free requests {verb} show that {rate.min:.2%} is kept without any fault "
            f"({need:,} are needed)"
        )
    yield from _of_latency_and_load(soak)
    failures = soak.objectives.get("failures")
    if failures is not None and failures.max is not None:
        yield from _of_failures(soak, failures.max)


def _of_latency_and_load(soak: SoakFile) -> Iterator[str]:
    minutes = int(soak.measure.fault_free_s // 60)
    if "latency_s_mean" in soak.objectives:
        can = "give its interval" if minutes >= 3 else "give no interval (3 are needed)"
        yield f"latency_s_mean: {minutes} fault-free minutes {can}"
    peak = profile_of(soak.week).peak * soak.load.rate_per_s
    if "concurrency_max" in soak.objectives and peak > soak.measured_rate_per_s * 1.01:
        yield (
            f"concurrency_max: measured at {soak.measured_rate_per_s:.3g} requests a second and scaled to the peak, "
            f"{peak:.3g}: queues of the peak are not in it; measure.rate_per_s {peak:.3g} would show them"
        )


def _of_failures(soak: SoakFile, most: float) -> Iterator[str]:
    """Trials cannot help here: the number of failures rests on the declared rates."""
    low = high = 0.0
    for one in soak.faults:
        if one.rate.events is not None and one.rate.exposure_days is not None:
            bounds = count_bounds(one.rate.events)
            low += bounds[0] / one.rate.exposure_days * soak.days
            high += bounds[1] / one.rate.exposure_days * soak.days
    yield (
        f"failures: the counted rates alone mean {low:.2g} to {high:.2g} faults in {soak.days} days, at most {most:g} "
        "are allowed: it rests on the exposure behind the rates, not on trials"
    )


def _of_compression(soak: SoakFile) -> Iterator[str]:
    """A restart budget that months never touch may be used up by trials a few seconds apart."""
    options = soak.target.supervision
    if soak.target.supervised_by != "budget":
        return
    shortest = min(one.lasts_s for one in soak.faults) + soak.measure.trial_s + soak.measure.gap_s_min
    used_up = options.per_s / shortest > options.max_restarts
    if used_up or shortest < options.stable_s:
        what = (
            f"more than {options.max_restarts} restarts in {options.per_s:g} s use up the supervisor's budget"
            if used_up
            else f"a replica that ran less than {options.stable_s:g} s waits longer for its next restart"
        )
        yield (
            f"trials come as close as {shortest:.0f} s, and {what}: an artefact of the compression; raise trial_s or "
            "gap_s_min, or target.supervision.max_restarts and stable_s"
        )
