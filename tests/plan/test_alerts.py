"""Alerts that a scenario asks for: unknown ones and those that could never fire in time are refused before the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.alerts import AlertRule
from harness.model.errors import ScenarioError
from harness.plan.alert_rules import rules_in
from harness.plan.make_plan import Drawn, make_plan
from harness.plan.parse import json_schema, parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.fake.stack import FakeStack

HEAD = """name: x
load: {rate_per_s: 20, mix: {chat: 1}}
phases: {baseline_s: 20, recovery_s: 30}
faults: [{kind: process.pause, at_s: 5, for_s: 10}]
"""
RULES = (
    AlertRule("Quick", "x > 0"),
    AlertRule("Stalled", "x > 0", condition_s=10.0, range_s=10.0),
    AlertRule("Sustained", "x > 0", for_s=300.0),
    AlertRule("LooksBack", "x > 0", range_s=300.0),
)


def planned(alerts: str, *, unwatched: str = "") -> Drawn:
    known = replace(facts(FakeStack(FakeClock())), rules=RULES, unwatched=unwatched)
    return make_plan(parse_scenario(f"{HEAD}alerts: {alerts}\n", "x.yaml"), known, "seed")


@pytest.mark.parametrize("alerts", ["{Quick: {within_s: 1}}", "{Stalled: {within_s: 12}, Quick: {within_s: 40}}"])
def test_alerts_that_can_fire_in_time_are_planned(alerts: str) -> None:
    assert next(iter(planned(alerts).plan.scenario.alerts)) in ("Quick", "Stalled")


@pytest.mark.parametrize(
    ("alerts", "why"),
    [
        ("{Qick: {within_s: 9}}", "alerts.Qick: there is no such alert rule (did you mean 'Quick'?)"),
        (
            "{Sustained: {within_s: 35}}",
            "alerts.Sustained: it cannot fire within 35 s of a fault: its condition must hold for 300 s; "
            "ask for more than 300 s",
        ),
        ("{Stalled: {within_s: 10}}", "its condition cannot be met before 10 s"),
        ("{Quick: {within_s: 41}}", "observation ends 40 s after the fault's begin, so 41 s cannot be judged"),
        (
            "{LooksBack: {within_s: 9}}",
            "only 25 s are known when the fault begins, so it would fire faster than it does",
        ),
    ],
)
def test_what_could_never_be_shown_is_refused_with_its_line(alerts: str, why: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        planned(alerts)
    assert str(refused.value).startswith("x.yaml:5: alerts.")
    assert why in str(refused.value)


def test_without_a_prometheus_beside_the_run_the_remedy_is_named() -> None:
    with pytest.raises(ScenarioError, match="there will be none: install it"):
        planned("{Quick: {within_s: 9}}", unwatched="install it")
    scenario = parse_scenario(f"{HEAD}alerts: {{Quick: {{within_s: 9}}}}\n", "x.yaml")
    with pytest.raises(ScenarioError, match="there will be none: the stack 'fake' starts none"):
        make_plan(scenario, facts(FakeStack(FakeClock())), "seed")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alerts: {Quick: {within_s: 0}}", "alerts.Quick.within_s: input should be greater than 0"),
        ("alerts: {Quick: {after_s: 3}}", "alerts.Quick.within_s: is missing"),
        ("alerts: {Quick: 3}", "alerts.Quick: "),
    ],
)
def test_a_limit_of_another_shape_is_a_problem_of_its_line(text: str, why: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse_scenario(HEAD + text, "x.yaml")
    assert "x.yaml:5: " in str(refused.value) and why in str(refused.value)


def test_alerts_of_a_run_without_faults_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"x\.yaml:2: alerts: there are no faults"):
        parse_scenario("name: x\nalerts: {Quick: {within_s: 3}}\n", "x.yaml")


def test_the_schema_lists_the_rules_that_there_are() -> None:
    assert json_schema(["B", "A"])["properties"]["alerts"]["propertyNames"] == {"enum": ["A", "B"]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("groups: [", "rules.yml:1: "),
        ("rules: []", "rules.yml:1: no rules of a Prometheus: 'groups:' is missing"),
        ("[]", "'groups:' is missing"),
        ("groups: [{rules: [{alert: A}]}]", "a rule cannot be read ('expr'); 'promtool check rules' says which"),
        ("groups: [{rules: [{alert: A, expr: x, for: soon}]}]", "'soon' is no duration"),
        ("groups: [7]", "a rule cannot be read"),
    ],
)
def test_a_damaged_rule_file_is_named(text: str, why: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        rules_in({"rules.yml": text})
    assert why in str(refused.value)
