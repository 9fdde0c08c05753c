"""The points at which container runs are killed: every ten have every mix, and the mixes have every family."""

from __future__ import annotations

import pytest

from harness.model.capability import Capability
from harness.model.faults import FAULTS
from harness.plan.make_plan import TargetFacts, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.fake.stack import FakeStack
from harness.stack.remote.stack import REACHES
from tests.container_kills import MIXES, REMOTE, Point, points, scenario

OF_THE_USERS_OWN = {"exec"}  # commands that a scenario names; nobody else can say what they leave


def family(kind: str) -> str:
    return kind.partition(".")[0]


def kinds(faults: tuple[str, ...]) -> list[str]:
    return [fault.removeprefix("{kind: ").partition(",")[0].partition("}")[0] for fault in faults]


def planned(point: Point, capabilities: frozenset[Capability]) -> None:
    known = facts(FakeStack(FakeClock()))
    target = TargetFacts("compose", capabilities, known.replicas, known.prompts, known.links)
    make_plan(parse_scenario(scenario(point), "killed.yaml"), target, "1")


def test_every_family_of_faults_is_in_flight_somewhere() -> None:
    inside = {family(kind) for mix in MIXES for kind in kinds(mix)}
    assert inside == {family(kind) for kind in FAULTS} - OF_THE_USERS_OWN


@pytest.mark.parametrize("tens", [1, 5])
def test_every_ten_points_have_every_mix_and_one_on_another_hosts_engine(tens: int) -> None:
    found = points("any", 10 * tens)
    for begin in range(0, 10 * tens, 10):
        in_flight = [point for point in found[begin : begin + 10] if point.event == "fault_begin" and not point.remote]
        assert {point.mix for point in in_flight} == set(range(len(MIXES)))
        assert sum(point.remote for point in found[begin : begin + 10]) == 1
        assert {point.with_guard for point in in_flight} == {True, False}


@pytest.mark.parametrize("mix", range(len(MIXES)))
def test_the_faults_of_a_mix_do_not_clash(mix: int) -> None:
    planned(Point(0, mix, "fault_begin", 1.0, with_guard=False), frozenset(Capability))


def test_those_on_another_hosts_engine_are_such_as_reach_it() -> None:
    planned(Point(0, 0, "fault_begin", 1.0, with_guard=False, remote=True), REACHES)
    assert {"process.pause", "node.down"} <= set(kinds(REMOTE))
