"""What the environment switches belongs to the plan: it is recorded, replayed and compared."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from harness.cli.terminal import plan_lines
from harness.model.plan import HIDDEN, Plan
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.fake.stack import FakeStack
from tests.fake_run import HEAD

SET = {"TARGET_REPLICA_MAX_QUEUE": "8", "TARGET_GATEWAY_RETRY_SHARE": "0.1"}


def planned(environment: dict[str, str], text: str = "") -> Plan:
    known = replace(facts(FakeStack(FakeClock(0.0))), environment=environment)
    return make_plan(parse_scenario(HEAD + text, "x.yaml"), known, "seed").plan


def test_a_plan_names_what_switches_its_target_and_shows_it() -> None:
    plan = planned(SET)
    assert plan.environment == SET
    assert f"{'switched':10}TARGET_REPLICA_MAX_QUEUE=8, by the environment" in plan_lines(plan)
    assert planned({}).environment == {}


def test_the_command_that_repeats_a_plan_sets_the_same_variables_and_asks_the_shell_for_a_secret() -> None:
    environment = {**SET, "TARGET_REPLICA_FAULTS_TOKEN": HIDDEN, "TARGET_REPLICA_NAME_OF_IT": "two words; rm"}
    words = shlex.split(planned(environment).replay)
    assert words[: words.index("harness")] == [
        "TARGET_REPLICA_MAX_QUEUE=8",
        "TARGET_GATEWAY_RETRY_SHARE=0.1",
        "TARGET_REPLICA_FAULTS_TOKEN=$TARGET_REPLICA_FAULTS_TOKEN",
        "TARGET_REPLICA_NAME_OF_IT=two words; rm",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("target: {replica: {max_queue: 4}}\n", "TARGET_REPLICA_MAX_QUEUE"),
        ("target: {gateway: {retry_share: 0}}\n", "TARGET_GATEWAY_RETRY_SHARE"),
        ("target: {protection: hardened}\n", "TARGET_REPLICA_PROTECTION"),
        ("", "TARGET_REPLICA_PORT"),  # the harness gives each its own
        ("", "TARGET_GATEWAY_GOLDEN"),
    ],
)
def test_a_variable_that_a_command_line_outranks_switches_nothing_and_is_not_named(text: str, name: str) -> None:
    assert planned({name: "1"}, text).environment == {}
    assert planned({name: "1", "TARGET_GATEWAY_BEAT_S": "1"}, text).environment == {"TARGET_GATEWAY_BEAT_S": "1"}
