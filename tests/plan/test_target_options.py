"""Options that the target does not have, or that make no sense together, are refused with file, line and key."""

from __future__ import annotations

import pytest

from harness.model.capability import Capability
from harness.model.errors import CapabilityError, ScenarioError
from harness.plan.halves import of_half
from harness.plan.make_plan import TargetFacts, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.stack.fake.stack import FakeStack
from harness.stack.reference.option_names import OPTIONS
from harness.stack.reference.settings import LINKS

KILL = "name: x\nfaults: [{kind: process.kill, on: primary}]\n"
WEIGHTED = "gateway: {strategy: weighted}, "


def planned(
    target: str, *, more: str = "", capabilities: frozenset[Capability] = frozenset(Capability), **environment: str
) -> None:
    fake = FakeStack(FakeClock())
    known = TargetFacts(
        "local",
        capabilities,
        fake.describe(),
        fake.prompts(),
        LINKS,
        environment=environment,
        options=OPTIONS,
    )
    make_plan(parse_scenario(f"target: {target}\n{KILL}{more}", "x.yaml"), known, "7")


@pytest.mark.parametrize(
    "target",
    [
        "{gateway: {api_keys: on}}",
        "{each: {standby: {follow: primary, qps_limit: 2}}}",
        "{each: {standby: {follow: off}}}",
        "{each: {standby: {follow: 'http://127.0.0.1:1'}}}",
        "{replica: {register: on}}",
        "{replica: {register: on}, each: {primary: {register: off}}}",
        f"{{{WEIGHTED}each: {{primary: {{weight: 3}}, standby: {{backup: on}}}}}}",
        "{balancer: haproxy, each: {standby: {max_queue: 3}}}",
        "{balancer: haproxy, each: {standby: {backup: off}}}",
    ],
)
def test_what_the_stack_can_do_is_planned(target: str) -> None:
    planned(target)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (
            "{replica: {max_quue: 3}}",
            r"target.replica.max_quue: there is no such option \(did you mean 'max_queue'\?\)$",
        ),
        ("{gateway: {missed_beat: 3}}", r"target.gateway.missed_beat: .*did you mean 'missed_beats'"),
        ("{gateway: {zzz: 3}}", "target.gateway.zzz: there is no such option$"),
        ("{each: {standby: {folow: primary}}}", r"target.each.standby.folow: .*did you mean 'follow'"),
        ("{each: {stanby: {max_queue: 3}}}", r"target.each.stanby: there is no such replica.*did you mean 'standby'"),
        ("{each: {gateway: {strategy: weighted}}}", "target.each.gateway: .*no such replica; known: primary, standby"),
        ("{each: {standby: {follow: standby}}}", "target.each.standby.follow: standby can follow primary.*'standby'"),
        ("{each: {standby: {follow: on}}}", "target.each.standby.follow: standby can follow primary.*'on'"),
        ("{replica: {follow: primary}}", "target.replica.follow: primary can follow standby, or be off, not 'primary'"),
        (f"{{{WEIGHTED}each: {{primary: {{weight: 0}}}}}}", "target.each.primary.weight: must be a whole number"),
        (f"{{{WEIGHTED}each: {{primary: {{weight: on}}}}}}", "target.each.primary.weight: must be a whole number"),
        ("{each: {primary: {weight: 3}}}", "target.each.primary.weight: nobody looks at it: say strategy: weighted"),
        ("{replica: {weight: 3}}", "target.replica.weight: nobody looks at it: say strategy: weighted"),
        ("{each: {standby: {backup: 1}}}", "target.each.standby.backup: must be on or off"),
        ("{each: {standby: {register: 'yes'}}}", "target.each.standby.register: must be on or off"),
        ("{gateway: {api_keys: sesame}}", "target.gateway.api_keys: must be on or off; the stack makes a key"),
        (
            "{each: {standby: {register: on, backup: on}}}",
            "target.each.standby.backup: standby registers itself with the gateway, and does so without a backup",
        ),
        ("{balancer: haproxy, each: {standby: {register: on}}}", "target.each.standby.register: HAProxy's own"),
    ],
)
def test_bad_options_are_refused_in_a_sentence_with_file_line_and_key(target: str, problem: str) -> None:
    with pytest.raises(ScenarioError, match=rf"^x.yaml:1: {problem}") as caught:
        planned(target)
    assert len(caught.value.problems) == 1


def test_a_strategy_of_the_environment_counts() -> None:
    planned("{each: {primary: {weight: 3}}}", TARGET_GATEWAY_STRATEGY="weighted")


def test_a_half_with_a_target_of_its_own_is_looked_at_where_it_stands() -> None:
    text = f"{KILL}expect:\n  fragile: fail\n  hardened:\n    target:\n      each: {{stanby: {{max_queue: 3}}}}\n"
    scenario = of_half(parse_scenario(text, "x.yaml"), "hardened")
    fake = FakeStack(FakeClock())
    facts = TargetFacts("local", frozenset(Capability), fake.describe(), fake.prompts(), LINKS, options=OPTIONS)
    with pytest.raises(ScenarioError, match=r"x.yaml:7: expect.hardened.target.each.stanby: there is no such replica"):
        make_plan(scenario, facts, "7")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("{gateway: {api_keys: on}}", "target.gateway.api_keys"),
        ("{each: {standby: {register: on}}}", "target.each.standby.register"),
    ],
)
def test_what_shares_a_secret_is_refused_where_the_stack_can_hand_none_over(target: str, path: str) -> None:
    some = frozenset(Capability) - {Capability.SECRETS}
    with pytest.raises(CapabilityError, match=rf"x.yaml:1: {path} needs the capability 'secrets'"):
        planned(target, capabilities=some)
    planned(target.replace("on}", "off}"), capabilities=some)


def test_a_stack_that_says_nothing_of_its_options_takes_any() -> None:
    fake = FakeStack(FakeClock())
    facts = TargetFacts("local", frozenset(Capability), fake.describe(), fake.prompts(), LINKS)
    make_plan(parse_scenario(f"target: {{replica: {{own: 3}}}}\n{KILL}", "x.yaml"), facts, "7")
