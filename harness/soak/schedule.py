"""The order, the moments and the gaps of a night's trials, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.model.errors import Problem, ScenarioError
from harness.model.fault import Fault
from harness.model.plan import Step, Window
from harness.model.scenario import Load, Phases, Scenario
from harness.model.soak import FaultType, SoakFile
from harness.plan.timeline import in_order, steps_of

__all__ = ["START_S", "NightSchedule", "as_scenario", "draw_night", "flat_faults", "placed_trials", "types_by_faults"]

START_S = 20.0  # of a budget, for starting, stopping and judging a stack
TRIALS_MAX = 1000  # episodes of one run


@dataclass(frozen=True)
class NightSchedule:
    """One run: a fault-free stretch, then trials. `types` names the fault type of each episode, from 1 on."""

    windows: tuple[Window, ...]
    steps: tuple[Step, ...]
    types: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        return self.windows[-1].end_s

    @property
    def trials_per_type(self) -> int:
        """Of the type that has fewest."""
        return min((self.types.count(name) for name in set(self.types)), default=0)


def draw_night(soak: SoakFile, seed: str, budget_s: float) -> NightSchedule:
    """As many rounds as fit, each with every type once in random order: balanced, and no type is always early or late.

    Raises ScenarioError when not even one round fits.
    """
    rng = random.Random(f"{seed}/trials")
    left_s = budget_s - START_S - soak.warmup_max_s - soak.measure.fault_free_s
    trials: list[tuple[FaultType, float]] = []
    while len(trials) + len(soak.faults) <= TRIALS_MAX:
        order = rng.sample(soak.faults, len(soak.faults))
        some = [(one, rng.uniform(soak.measure.gap_s_min, soak.measure.gap_s_max)) for one in order]
        left_s -= sum(_length_s(soak, one) + gap_s for one, gap_s in some)
        if left_s < 0:
            break
        trials += some
    if not trials:
        raise ScenarioError([Problem(soak.file, soak.lines.get("measure", 1), _too_short(soak, budget_s))])
    return _laid_out(soak, trials)


def placed_trials(soak: SoakFile, begins: Sequence[tuple[float, FaultType]], length_s: float) -> NightSchedule:
    """Faults at their own moments in a stretch of `length_s`: real time. Each is watched until the next one begins."""
    first_s = begins[0][0] if begins else length_s
    windows = [Window("baseline", 0, 0.0, first_s)]
    steps: list[Step] = []
    ends = [*(at_s for at_s, _ in begins[1:]), length_s][: len(begins)]
    for episode, ((at_s, one), end_s) in enumerate(zip(begins, ends, strict=True), start=1):
        if one.lasts_s > 0:
            windows.append(Window("fault", episode, at_s, at_s + one.lasts_s))
        windows.append(Window("recovery", episode, at_s + one.lasts_s, end_s))
        steps += _steps(soak, one, episode, at_s)
    return NightSchedule(tuple(windows), in_order(steps, flat_faults(soak)), tuple(one.name for _, one in begins))


def as_scenario(soak: SoakFile, schedule: NightSchedule, rate_per_s: float) -> Scenario:
    """What the harness's own experiment is told; its schedule is the night's, not the scenario's."""
    return Scenario(
        name=soak.name,
        hypothesis=soak.hypothesis,
        target=soak.target,
        load=_at_rate(soak, rate_per_s),
        phases=Phases(baseline_s=schedule.windows[0].end_s, recovery_s=soak.measure.trial_s),
        episodes=max(1, len(schedule.types)),
        faults=flat_faults(soak) if schedule.types else (),
        steady_state=soak.steady_state,
        warmup_max_s=soak.warmup_max_s,
        file=soak.file,
        lines=soak.lines,
    )


def flat_faults(soak: SoakFile) -> tuple[Fault, ...]:
    """The faults of all types, in the file's order."""
    return tuple(fault for one in soak.faults for fault in one.inject)


def types_by_faults(soak: SoakFile) -> dict[frozenset[int], str]:
    """Positions in `flat_faults` -> name of the type that injects just these."""
    return {frozenset(_positions(soak, one)): one.name for one in soak.faults}


def _at_rate(soak: SoakFile, rate_per_s: float) -> Load:
    return replace(soak.load, rate_per_s=rate_per_s)


def _positions(soak: SoakFile, wanted: FaultType) -> range:
    at = 0
    for one in soak.faults:
        if one.name == wanted.name:
            return range(at, at + len(one.inject))
        at += len(one.inject)
    raise AssertionError(wanted.name)


def _steps(soak: SoakFile, one: FaultType, episode: int, at_s: float) -> list[Step]:
    pairs = zip(_positions(soak, one), one.inject, strict=True)
    return [step for index, fault in pairs for step in steps_of(fault, index, episode, at_s)]


def _length_s(soak: SoakFile, one: FaultType) -> float:
    return one.lasts_s + soak.measure.trial_s


def _laid_out(soak: SoakFile, trials: Sequence[tuple[FaultType, float]]) -> NightSchedule:
    at_s = soak.measure.fault_free_s
    begins = []
    for one, gap_s in trials:
        begins.append((at_s, one))
        at_s += _length_s(soak, one) + gap_s
    return placed_trials(soak, begins, at_s)


def _too_short(soak: SoakFile, budget_s: float) -> str:
    round_s = sum(_length_s(soak, one) + soak.measure.gap_s_max for one in soak.faults)
    need_s = START_S + soak.warmup_max_s + soak.measure.fault_free_s + round_s
    return (
        f"measure: a budget of {budget_s / 60:.3g} min is too short for one trial of each type: "
        f"{need_s / 60:.1f} min are needed; raise budget_min, or lower fault_free_s or trial_s"
    )
