"""The two halves of a scenario's control pair: the same experiment on a fragile and on a hardened target."""

from __future__ import annotations

import dataclasses

from harness.model.errors import Problem, ScenarioError
from harness.model.expectation import HALVES, Expected, Half, expectation
from harness.model.scenario import Scenario
from harness.model.target import TargetOptions

__all__ = ["has_pair", "of_half", "without_pairs"]


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


def _pinned(target: TargetOptions) -> TargetOptions:
    """Options of a supervisor belong to the one that the file meant, which a protection must not exchange."""
    if target.supervision == TargetOptions().supervision:
        return target
    return dataclasses.replace(target, supervisor=target.supervised_by)
