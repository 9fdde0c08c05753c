"""Real time: the same faults at the same rates, uncompressed, in legs that a reboot may come between.

The schedule of faults is drawn once for the whole run. A leg is one experiment: it goes to its planned end unless a
fault is due so near to it that its consequences would be cut off; then it goes on until these have been watched.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.soak import FaultType, SoakFile
from harness.soak.rates import rate_bounds
from harness.soak.schedule import NightSchedule, placed_trials
from harness.soak.week import profile_of

__all__ = ["Leg", "Moment", "draw_moments", "leg_schedule", "next_leg"]

Moment = tuple[float, str]  # seconds from the run's begin, name of the fault type
END_S = 1.0  # what is left of a run that is over: nothing ends at its planned microsecond
LEAD_S = 30.0  # of a leg, without a fault: what is normal must be known before anything breaks


@dataclass(frozen=True)
class Leg:
    """A stretch of the schedule, in seconds from the run's begin (which counts as Monday, midnight)."""

    number: int
    begin_s: float
    end_s: float
    rate_per_s: float
    moments: tuple[Moment, ...]


def draw_moments(soak: SoakFile, hours: float, seed: str) -> tuple[Moment, ...]:
    """When what happens in so many hours, by the declared rates (of a guess, the guess): Poisson, with its bursts."""
    found: list[Moment] = []
    profile = profile_of(soak.week)
    peak = profile.peak
    for one in soak.faults:
        rng = random.Random(f"{seed}/{one.name}")
        per_s = rate_bounds(one.rate).per_day / 86_400 / one.burst_mean
        most = per_s * (peak if one.when == "busy" else 1.0)
        at_s = 0.0
        while most > 0 and (at_s := at_s + rng.expovariate(most)) < hours * 3600:
            share = profile.at(int(at_s // 3600)) / peak if one.when == "busy" else 1.0
            if rng.random() < share:
                found += [(at_s + place * _apart_s(soak, one), one.name) for place in range(_burst(one, rng))]
    return tuple(sorted(moment for moment in found if moment[0] < hours * 3600))


def next_leg(
    soak: SoakFile, moments: Sequence[Moment], at_s: float, length: tuple[float, float], number: int
) -> Leg | None:
    """The leg that begins at `at_s`; `length` is that of the whole run and of a leg, in seconds. None: it is over.

    `moments` are those that have not happened yet; what is overdue happens as soon as the leg allows.
    """
    total_s, leg_s = length
    if at_s > total_s - END_S:
        return None
    types = {one.name: one for one in soak.faults}
    end_s = min(at_s + leg_s, total_s)
    mine: list[Moment] = []
    for moment_s, name in moments:
        if moment_s >= end_s:
            break
        free_s = mine[-1][0] + _apart_s(soak, types[mine[-1][1]]) if mine else at_s + LEAD_S
        begin_s = max(moment_s, free_s)
        mine.append((begin_s, name))
        end_s = max(end_s, begin_s + _apart_s(soak, types[name]))
    rate = soak.load.rate_per_s * profile_of(soak.week).at(int(at_s // 3600))
    return Leg(number, at_s, end_s, max(rate, 0.01), tuple(mine))


def leg_schedule(soak: SoakFile, leg: Leg) -> NightSchedule:
    """What the experiment of a leg does, from its own begin on."""
    types = {one.name: one for one in soak.faults}
    begins = [(moment_s - leg.begin_s, types[name]) for moment_s, name in leg.moments]
    return placed_trials(soak, begins, leg.end_s - leg.begin_s)


def _apart_s(soak: SoakFile, one: FaultType) -> float:
    """The least time from a fault to the next, in which its consequences are watched."""
    return one.lasts_s + soak.measure.trial_s + soak.measure.gap_s_min


def _burst(one: FaultType, rng: random.Random) -> int:
    """Geometric, with the declared mean."""
    if one.burst_mean <= 1:
        return 1
    return 1 + int(math.log(1 - rng.random()) / math.log(1 - 1 / one.burst_mean))
