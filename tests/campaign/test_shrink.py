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


def one_fault(fault: str) -> Scenario:
    return scenario_of(f"name: one\nfaults: [{{{fault}}}]\nobserve: {{lost_requests: {{max: 5}}}}\n")


@pytest.mark.parametrize(
    ("fault", "name", "fails_to", "left"),
    [
        ("kind: resources.cpu, processors: 0.1", "processors", 0.9, 0.8),
        ("kind: resources.cpu, processors: 20", "processors", 100, 64),  # the schema's most
        ("kind: storage.slow, kb_per_s: 256", "kb_per_s", 1024, 1024),
        ("kind: network.bandwidth, rate_kb_per_s: 10", "rate_kb_per_s", 1e9, 2560),  # no end in the schema: 8 doublings
        ("kind: resources.fd, spare: 0", "spare", 3, 2),
        ("kind: weights.quantise, bits: 3", "bits", 16, 16),
        ("kind: weights.truncate, keep_ratio: 0.5", "keep_ratio", 0.9, 0.875),  # below 1, which nobody may write
        ("kind: process.crash_loop, up_s: 1", "up_s", 1.5, 1),
    ],
)
def test_what_is_weaker_when_more_is_doubled_as_long_as_it_fails_and_the_schema_allows_it(
    fault: str, name: str, fails_to: float, left: float
) -> None:
    found = shrink(one_fault(fault), lambda one: getattr(one.faults[0], name) <= fails_to)
    assert getattr(found.scenario.faults[0], name) == left
    parse_scenario(scenario_text(found.scenario), "x.yaml")


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
def test_a_clock_jumps_less_far_from_either_side(by_s: float) -> None:
    def fails(one: Scenario) -> bool:
        (fault,) = one.faults
        return abs(getattr(fault, "by_s", 0.0)) >= 500

    found = shrink(one_fault(f"kind: clock.jump, by_s: {by_s}"), fails)
    assert getattr(found.scenario.faults[0], "by_s", None) == by_s * 3 / 16, "675 s: 500 s to a sixteenth of 3,600"


def test_what_has_no_direction_stays() -> None:
    text = "kind: exec, on: x, do: [a], undo: [b], verify: [c], timeout_s: 7"
    (fault,) = shrink(one_fault(text), lambda _: True).scenario.faults
    assert getattr(fault, "timeout_s", None) == 7


def at_s(scenario: Scenario) -> list[float]:
    return [fault.at_s for fault in scenario.faults]


def test_the_fault_that_is_left_begins_with_the_episode() -> None:
    found = shrink(scenario_of(MANY), lambda one: "network.slow_close" in kinds(one))
    assert (kinds(found.scenario), at_s(found.scenario)) == (["network.slow_close"], [0.0])
    assert "the fault 18 s sooner" in found.steps
    assert found.scenario.phases == scenario_of(MANY).phases


def test_several_keep_their_order_and_distance() -> None:
    needed = {"process.pause", "network.slow_close"}
    found = shrink(scenario_of(MANY), lambda one: needed <= set(kinds(one)))
    assert (kinds(found.scenario), at_s(found.scenario)) == (["process.pause", "network.slow_close"], [0.0, 14.0])
    assert "all faults 4 s sooner" in found.steps


def test_faults_that_fail_only_when_they_are_late_stay_where_they_are() -> None:
    found = shrink(scenario_of(MANY), lambda one: any(fault.at_s >= 14 for fault in one.faults))
    assert at_s(found.scenario) in ([14.0], [18.0])
    assert not any("sooner" in step for step in found.steps)


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
