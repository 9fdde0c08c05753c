"""The two halves of a scenario's control pair: the same experiment on a fragile and on a hardened target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.model.capability import Capability
from harness.model.errors import Problem, ScenarioError
from harness.model.expectation import HALVES, Expected, Half, expectation
from harness.model.scenario import Scenario
from harness.model.target import TargetOptions

__all__ = ["has_pair", "in_order_of_targets", "of_half", "without_pairs"]


TRACELESS = {Capability.NETWORK, Capability.INFERENCE_TOXICS, Capability.TRAFFIC, Capability.PAUSE}
TRACELESS_KINDS = {
    f"service.{name}"
    for name in ("hang", "spin", "leak_slots", "pause_engine", "stall_stream", "truncate_stream", "leak_memory")
}
OF_THE_ENGINE = TRACELESS_KINDS | {"service.kill_engine", "service.poison"}


def has_pair(scenario: Scenario) -> bool:
    """Whether the file says what must happen on both halves."""
    return all(expectation(scenario.expect, half) is not None for half in HALVES)


def without_pairs(scenarios: list[Scenario]) -> list[Problem]:
    """A problem for each scenario that says nothing of a half."""
    return [
        Problem(
            one.file or one.name,
            one.lines.get("expect", 1),
            f"expect: says nothing of {' and '.join(h for h in HALVES if expectation(one.expect, h) is None)}; "
            "name both, as in expect: {fragile: {outcome: fail, because: recovery_s}, hardened: pass}",
        )
        for one in scenarios
        if not has_pair(one)
    ]


def of_half(scenario: Scenario, half: Half) -> Scenario:
    """The scenario on that half. Raises ScenarioError when its file says nothing of it."""
    known = expectation(scenario.expect, half)
    if known is None:
        raise ScenarioError(without_pairs([scenario]))
    assert isinstance(scenario.expect, Expected)
    target = known.target or _pinned(scenario.target)
    return dataclasses.replace(scenario, target=dataclasses.replace(target, protection=half), half=half)


def in_order_of_targets(scenarios: Sequence[Scenario]) -> list[int]:
    """Places of scenarios in an order in which those on equal targets follow one another, fragile halves first.

    Of equal targets those come late after which a replica has to be started again, and last those that end processes or
    touch files: no other run can begin where they ended.
    """
    targets = [repr(one.target.in_effect) for one in scenarios]
    halves = [HALVES.index(one.half) if one.half else -1 for one in scenarios]

    def rank(place: int) -> tuple[int, int, int, int]:
        return halves[place], targets.index(targets[place]), _traces(scenarios[place]), place

    return sorted(range(len(scenarios)), key=rank)


def _traces(scenario: Scenario) -> int:
    """What it leaves: 0 nothing, 1 a replica with another engine, 2 more.

    A guess, for the order alone: whether a stack can be kept is looked at when the run has ended.
    """
    kinds = {fault.kind for fault in scenario.faults if not fault.capabilities <= TRACELESS}
    unrepaired = scenario.target.protection == "fragile"  # others end an engine that hangs
    if not kinds or (unrepaired and kinds <= TRACELESS_KINDS):
        return 0
    return 1 if kinds <= OF_THE_ENGINE else 2


def _pinned(target: TargetOptions) -> TargetOptions:
    """Options of a supervisor belong to the one that the file meant, which a protection must not exchange."""
    if target.supervision == TargetOptions().supervision:
        return target
    return dataclasses.replace(target, supervisor=target.supervised_by)
