"""The key `expect`: short and long, and every problem with its line."""

from __future__ import annotations

import dataclasses

import pytest

from harness.model.errors import ScenarioError
from harness.model.expectation import Expectation, expectation, unexpected
from harness.model.verdict import VerdictOutcome
from harness.plan.halves import of_half
from harness.plan.parse import parse_scenario

BASE = """name: x
load: {rate_per_s: 20}
faults: [{kind: process.kill}]
observe: {recovery_s: {max: 5}}
"""


def problems(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(BASE + text, "x.yaml")
    return str(caught.value)


def test_a_word_alone_is_the_verdict_as_written() -> None:
    one = parse_scenario(BASE + "expect: fail\n", "x.yaml")
    assert expectation(one.expect) == Expectation(outcome="fail")
    assert expectation(one.expect, "fragile") is None


@pytest.mark.parametrize(("expect", "named"), [("", "pass"), ("expect: fail\n", "fail"), ("expect: pass\n", "pass")])
def test_a_verdict_that_the_file_does_not_name_is_a_sentence(expect: str, named: str) -> None:
    one = parse_scenario(BASE + expect, "x.yaml")
    for outcome in VerdictOutcome:
        said = unexpected(one.expect, None, outcome)
        wanted = f"the verdict is {outcome}, and its file names {named} under 'expect'"
        assert said == ("" if outcome == named else wanted)
    assert "names none" in unexpected(one.expect, "fragile", VerdictOutcome.FAIL)


def test_a_half_has_an_outcome_and_a_reason() -> None:
    text = "expect: {fragile: {outcome: fail, because: recovery_s}, hardened: pass}\n"
    one = parse_scenario(BASE + text, "x.yaml")
    assert expectation(one.expect) == Expectation(outcome="pass")
    assert expectation(one.expect, "fragile") == Expectation(outcome="fail", because="recovery_s")
    fragile = of_half(one, "fragile")
    assert fragile.target.protection == "fragile"
    assert fragile.target.supervised_by == "unexpected"
    assert fragile == dataclasses.replace(one, target=fragile.target, half="fragile")


def test_a_half_can_have_a_target_of_its_own() -> None:
    text = "expect: {fragile: {outcome: fail, target: {supervisor: never}}, hardened: pass}\n"
    one = parse_scenario("target: {gateway: {missed_beats: 5}}\n" + BASE + text, "x.yaml")
    assert of_half(one, "fragile").target.supervisor == "never"
    assert of_half(one, "fragile").target.gateway == {}
    assert of_half(one, "hardened").target.gateway == {"missed_beats": 5}


def test_options_of_a_supervisor_stay_with_the_supervisor_that_the_file_meant() -> None:
    text = "expect: {fragile: fail, hardened: pass}\n"
    one = parse_scenario("target: {supervision: {max_restarts: 3}}\n" + BASE + text, "x.yaml")
    assert of_half(one, "fragile").target.supervisor == "budget"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("expect: maybe\n", "x.yaml:5: expect: pass or fail, not 'maybe'"),
        ("expect: {fragil: fail}\n", "expect.fragil: unknown key (did you mean 'fragile'?)"),
        ("expect:\n  fragile: {outcome: lost}\n", "x.yaml:6: expect.fragile.outcome: pass or fail, not 'lost'"),
        (
            "expect: {fragile: {outcome: fail, because: ttft}}\n",
            "expect.fragile.because: 'ttft' is no limit of this scenario; it has: recovery_s",
        ),
        ("expect: {fragile: pass}\n", "expect.fragile: must be fail, or the pair tells nothing"),
        ("expect: {hardened: fail}\n", "expect.hardened: must be pass, or the pair tells nothing"),
        ("expect: {as_written: {because: recovery_s}}\n", "expect.as_written.because: a reason is for outcome: fail"),
        ("expect: {as_written: {target: {}}}\n", "expect.as_written.target: only a half has a target of its own"),
        (
            "expect: {hardened: {target: {protection: fragile}}}\n",
            "expect.hardened.target.protection: is the half's own",
        ),
        ("expect: {hardened: {target: {supervisor: me}}}\n", "expect.hardened.target.supervisor: input should be"),
        ("expect: [fail]\n", "expect: pass or fail, not ['fail']"),
    ],
)
def test_each_problem_is_said_where_it_stands(text: str, said: str) -> None:
    assert said in problems(text)


def test_the_schema_knows_short_and_long() -> None:
    from harness.plan.parse import json_schema

    assert len(json_schema()["properties"]["expect"]["anyOf"]) == 2
