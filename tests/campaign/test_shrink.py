"""Shrinking, with a rule in the place of runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.campaign.shrink import shrink
from harness.cli.scenarios import expand
from harness.model.scenario import Scenario
from harness.plan.parse import parse_scenario
from harness.plan.write import scenario_text

pytestmark = pytest.mark.whole

MANY = """# Something of this loses requests.
name: many
load: {rate_per_s: 20, mix: {chat_stream: 1}}
phases: {baseline_s: 5, recovery_s: 8}
faults:
  - {kind: network.latency, on: gateway, latency_ms: 50, at_s: 0, for_s: 2}
  - {kind: process.pause, on: primary, at_s: 4, for_s: 8}
  - {kind: weights.zero_block, on: primary, at_s: 14, for_s: 2}
  - {kind: network.slow_close, on: gateway, at_s: 18, for_s: 2}
observe: {lost_requests: {max: 5}}
"""


def scenario_of(text: str) -> Scenario:
    return parse_scenario(text, "x.yaml")


def kinds(scenario: Scenario) -> list[str]:
    return [fault.kind for fault in scenario.faults]


@pytest.mark.parametrize(
    "needed", [{"process.pause"}, {"network.latency", "network.slow_close"}, set(kinds(scenario_of(MANY)))]
)
def test_exactly_the_faults_that_are_needed_are_left(needed: set[str]) -> None:
    found = shrink(scenario_of(MANY), lambda one: needed <= set(kinds(one)))
    assert set(kinds(found.scenario)) == needed


def test_a_number_is_bisected_to_a_sixteenth_of_what_it_was() -> None:
    found = shrink(scenario_of(MANY), lambda one: any(getattr(f, "for_s", 0) >= 3.1 for f in one.faults))
    (fault,) = found.scenario.faults
    assert fault.kind == "process.pause"
    assert 3.1 <= fault.lasts_s <= 3.1 + 8 / 16


def test_nothing_is_taken_that_does_not_fail() -> None:
    whole = scenario_of(MANY)
    found = shrink(whole, lambda one: False)
    assert found.scenario == whole
    assert found.steps == []
    assert found.tried > 10


def test_a_scenario_is_the_same_after_it_was_written_and_read() -> None:
    for path in expand([Path(__file__).parents[2] / "scenarios"]):
        one = parse_scenario(path.read_text(), str(path))
        again = parse_scenario(scenario_text(one), str(path))
        assert dataclasses.replace(again, lines={}) == dataclasses.replace(one, lines={}), path


def test_what_ends_the_search_keeps_what_was_found_by_then() -> None:
    seen: list[Scenario] = []

    def still_fails(one: Scenario) -> bool:
        if seen and "process.pause" in kinds(seen[-1]):
            raise OSError("the disk is full")
        seen.append(one)
        return "process.pause" in kinds(one)

    found = shrink(scenario_of(MANY), still_fails)
    assert kinds(found.scenario) == ["network.latency", "process.pause"]
    assert len(found.steps) == 1
    assert isinstance(found.ended_by, OSError)


def test_a_candidate_of_which_nothing_is_known_is_not_taken() -> None:
    whole = scenario_of(MANY)
    found = shrink(whole, lambda one: None)
    assert found.scenario == whole
    assert found.ended_by is None
