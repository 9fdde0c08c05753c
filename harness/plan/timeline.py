"""Phases and fault steps of a schedule, in seconds from its begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model.fault import Fault
from harness.model.plan import Step, Window
from harness.model.scenario import Scenario
from harness.model.weights_faults import WeightsFault

__all__ = ["episode_length_s", "in_order", "steps", "steps_of", "windows"]


def episode_length_s(scenario: Scenario) -> float:
    """From an episode's begin to the end of its recovery phase."""
    return _faults_end_s(scenario) + scenario.phases.recovery_s


def windows(scenario: Scenario) -> tuple[Window, ...]:
    """The baseline, then of each episode the fault phase (if it lasts at all) and the recovery phase."""
    at_s = scenario.phases.baseline_s
    found = [Window("baseline", 0, 0.0, at_s)]
    if not scenario.faults:
        return tuple(found)
    last_s = _faults_end_s(scenario)
    for episode in range(1, scenario.episodes + 1):
        if last_s > 0:
            found.append(Window("fault", episode, at_s, at_s + last_s))
        found.append(Window("recovery", episode, at_s + last_s, at_s + last_s + scenario.phases.recovery_s))
        at_s += last_s + scenario.phases.recovery_s
    return tuple(found)


def steps(scenario: Scenario) -> tuple[Step, ...]:
    """What the experiment does, in order of time; at the same time heals come before new faults."""
    length_s = episode_length_s(scenario)
    found = []
    for episode in range(1, scenario.episodes + 1):
        begin_s = scenario.phases.baseline_s + (episode - 1) * length_s
        for index, fault in enumerate(scenario.faults):
            found += steps_of(fault, index, episode, begin_s)
    return in_order(found, scenario.faults)


def steps_of(fault: Fault, index: int, episode: int, begin_s: float) -> list[Step]:
    """What is done with one fault in an episode that begins at `begin_s`."""
    at_s = begin_s + fault.at_s
    found = [Step(at_s, "inject", episode, index)]
    if isinstance(fault, WeightsFault) and fault.restart_after_s is not None:
        found.append(Step(at_s + fault.restart_after_s, "restart", episode, index))
    return [*found, Step(at_s + fault.lasts_s, "heal", episode, index)]


def in_order(found: Iterable[Step], faults: Sequence[Fault]) -> tuple[Step, ...]:
    """By time; at the same time heals come before new faults, and that of a fault which is over at once after it."""
    order = {"heal": 0, "inject": 1, "restart": 2}

    def rank(step: Step) -> tuple[float, int]:
        at_once = step.action == "heal" and faults[step.fault].lasts_s == 0  # after its own beginning
        return step.at_s, 3 if at_once else order[step.action]

    return tuple(sorted(found, key=rank))


def _faults_end_s(scenario: Scenario) -> float:
    return max((fault.at_s + fault.lasts_s for fault in scenario.faults), default=0.0)
