"""Scenario files: every problem at once, each at its line, and never anything but a ScenarioError."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.errors import ScenarioError
from harness.model.faults import FAULTS
from harness.plan.parse import json_schema, parse_scenario

KEYS = [
    "name",
    "load",
    "phases",
    "faults",
    "observe",
    "claim",
    "episodes",
    "kind",
    "mix",
    "rate_per_s",
    "file",
    "lines",
    "target",
    "supervisor",
    "supervision",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just(10**400),
    st.sampled_from([*FAULTS]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.one_of(st.sampled_from(KEYS), SCALARS), inner, max_size=4)
    ),
    max_leaves=12,
)


def problems(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "x.yaml")
    return [str(problem) for problem in caught.value.problems]


def accepts_or_explains(text: str) -> None:
    try:
        parse_scenario(text, "x.yaml")
    except ScenarioError as error:
        found = error.problems
    else:
        return
    assert found
    assert all(problem.line >= 1 and problem.message for problem in found)


@given(st.text(max_size=60))
def test_any_text_is_a_scenario_or_a_scenario_error(text: str) -> None:
    accepts_or_explains(text)


@settings(deadline=None)
@given(TREES)
def test_any_yaml_is_a_scenario_or_a_scenario_error(tree: object) -> None:
    import yaml

    accepts_or_explains(yaml.dump(tree))


@pytest.mark.parametrize(
    "text",
    [
        'a: !!int ""',
        'a: !!float ""',
        'a: !!bool "x"',
        'a: !!timestamp "x"',
        "a: 2026-02-30",
        "a: \x07",
        "&a [*a]",
        "? [a]\n: b",
    ],
)
def test_values_that_do_not_fit_their_tags_are_problems_not_tracebacks(text: str) -> None:
    assert problems(text)


def test_nested_aliases_cost_no_exponential_time() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 40))
    assert problems(bomb)


def test_every_problem_is_named_with_its_line_and_a_wrong_name_gets_a_suggestion() -> None:
    text = "name: Bad_Name\nload:\n  rate_per_z: 3\nfaults:\n  - {kind: process.kil}\nobserve:\n  recovery: {max: 1}\n"
    found = problems(text)
    assert [line.split(" ")[0] for line in found] == ["x.yaml:1:", "x.yaml:3:", "x.yaml:5:", "x.yaml:7:"]
    assert "did you mean 'rate_per_s'?" in found[1]
    assert "did you mean 'process.kill'?" in found[2]
    assert "did you mean 'recovery_s'?" in found[3]


def test_a_key_given_twice_is_refused() -> None:
    assert "given twice" in problems("name: a\nname: b\n")[0]


def test_the_key_on_is_a_key_and_not_the_truth() -> None:
    scenario = parse_scenario("name: a\nfaults:\n  - {kind: process.kill, on: standby}\n", "x.yaml")
    assert scenario.faults[0].on == "standby"


def test_nobody_sets_what_the_parser_sets() -> None:
    assert problems("name: a\nfile: b\nlines: {}\n") == ["x.yaml:2: file: unknown key", "x.yaml:3: lines: unknown key"]


def test_damage_of_files_that_are_damaged_already_is_refused() -> None:
    fault = "  - {kind: weights.bit_flip, for_s: 10, at_s: %d}\n"
    assert "already damaged" in problems("name: a\nfaults:\n" + fault % 0 + fault % 9)[0]
    assert parse_scenario("name: a\nfaults:\n" + fault % 0 + fault % 10, "x.yaml")


def test_a_link_that_is_broken_already_cannot_be_broken_again() -> None:
    fault = "  - {kind: network.down, on: %s, for_s: 10, at_s: %d}\n"
    assert (
        "the link to gateway is already broken then" in problems("name: a\nfaults:\n" + (fault % ("gateway", 0)) * 2)[0]
    )
    assert parse_scenario("name: a\nfaults:\n" + fault % ("gateway", 0) + fault % ("primary", 0), "x.yaml")


def test_a_restart_after_the_files_are_whole_again_is_refused() -> None:
    assert (
        "restart_after_s"
        in problems("name: a\nfaults:\n  - {kind: weights.missing, for_s: 5, restart_after_s: 5}\n")[0]
    )


def test_the_published_schema_knows_every_fault_and_nothing_that_the_parser_sets() -> None:
    schema = json_schema()
    assert len(schema["properties"]["faults"]["items"]["oneOf"]) == len(FAULTS)
    assert not {"file", "lines"} & set(schema["properties"])


def supervised(target: str) -> str:
    return f"name: x\ntarget: {target}\nfaults: [{{kind: process.kill}}]\n"


def test_a_supervisor_is_named_or_follows_from_the_protection() -> None:
    chosen = ["{}", "{protection: hardened}", "{protection: fragile}", "{protection: fragile, supervisor: budget}"]
    found = [parse_scenario(supervised(target), "x.yaml").target.supervised_by for target in chosen]
    assert found == ["budget", "budget", "unexpected", "budget"]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("{supervisor: systemd}", "target.supervisor: input should be"),
        ("{supervision: {max_restart: 1}}", r"unknown key \(did you mean 'max_restarts'\?\)"),
        (
            "{balancer: haproxy, gateway: {failback: false}}",
            "target.gateway: HAProxy has none of the gateway's options",
        ),
        ("{supervisor: always, supervision: {backoff_s: 1}}", "backoff_s: only 'budget' has it, not 'always'"),
        ("{supervision: {period_s: 1}}", "only 'cron-script' and 'retry-script' have it, not 'budget'"),
        ("{protection: fragile, supervision: {max_restarts: 1}}", "not 'unexpected'"),
        ("{supervision: {normal_exit_codes: [256]}}", "less than or equal to 255"),
        ("{supervision: {jitter: 2}}", "less than or equal to 1"),
    ],
)
def test_a_supervision_that_makes_no_sense_is_refused_in_a_sentence(target: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        parse_scenario(supervised(target), "x.yaml")
