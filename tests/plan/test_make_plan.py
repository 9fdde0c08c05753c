"""Planning: the same for the same seed, and refused when the planned data could never pass."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis import validity
from harness.model.capability import Capability
from harness.model.errors import CapabilityError, ScenarioError
from harness.model.plan import Prompt
from harness.plan import resolution
from harness.plan.make_plan import Drawn, TargetFacts, make_plan
from harness.plan.parse import parse_scenario

KILL = "faults:\n  - {kind: process.kill, at_s: 1}\n"
PROMPTS = {"chat": (Prompt(({"role": "user", "content": "hi"},), 8, "hello"),)}


def plan(text: str, seed: str = "1", capabilities: frozenset[Capability] = frozenset(Capability)) -> Drawn:
    facts = TargetFacts("fake", capabilities, {"primary": "a", "standby": "b"}, PROMPTS)
    return make_plan(parse_scenario(f"name: x\n{text}", "x.yaml"), facts, seed)


@settings(deadline=None)
@given(st.text(max_size=8), st.floats(1, 40), st.sampled_from(["poisson", "constant"]))
def test_planning_is_deterministic_in_the_seed(seed: str, rate: float, arrivals: str) -> None:
    text = f"load: {{rate_per_s: {rate}, arrivals: {arrivals}}}\nphases: {{baseline_s: 5, recovery_s: 5}}\n{KILL}"
    one, other = plan(text, seed), plan(text, seed)
    assert one == other
    due = one.user.scheduled_us
    assert due == sorted(due)
    assert not due or 0 <= due[0] <= due[-1] <= one.plan.duration_s * 1e6
    assert len(due) == len(one.user.task) == len(one.user.prompt) == one.plan.requests


def test_another_seed_draws_another_schedule() -> None:
    assert plan(KILL, "1").plan.arrivals_sha256 != plan(KILL, "2").plan.arrivals_sha256


@settings(deadline=None)
@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=3))
def test_windows_follow_each_other_and_every_fault_is_healed_within_its_episode(
    episodes: int, faults: list[tuple[int, int]]
) -> None:
    lines = "".join(f"  - {{kind: process.pause, at_s: {at}, for_s: {lasts}}}\n" for at, lasts in faults)
    made = plan(f"episodes: {episodes}\nfaults:\n{lines}").plan
    for before, after in zip(made.windows, made.windows[1:], strict=False):
        assert before.end_s == after.begin_s
        assert before.begin_s < before.end_s
    assert [step.at_s for step in made.steps] == sorted(step.at_s for step in made.steps)
    for step in made.steps:
        mine = [window for window in made.windows if window.episode == step.episode]
        assert mine[0].begin_s <= step.at_s <= mine[-1].begin_s + 1e-9
    for episode in range(1, episodes + 1):
        for index in range(len(faults)):
            actions = [step.action for step in made.steps if (step.episode, step.fault) == (episode, index)]
            assert actions == ["inject", "heal"], made.steps


def test_an_instant_fault_is_healed_after_it_began_and_a_heal_precedes_the_next_fault() -> None:
    made = plan("faults:\n  - {kind: process.pause, for_s: 2}\n  - {kind: process.kill, on: standby, at_s: 2}\n").plan
    assert [(step.action, step.fault) for step in made.steps] == [
        ("inject", 0),
        ("heal", 0),
        ("inject", 1),
        ("heal", 1),
    ]


@pytest.mark.parametrize(
    ("claim", "fits", "short"),
    [
        ("recovery_s_p50: {max: 5}", 5, 4),
        ("recovery_s_p90: {max: 5}", 29, 28),
        ("recovery_s_p95: {max: 5}", 59, 58),
        ("recovery_s_p99: {max: 5}", 299, 298),
    ],
)
def test_a_recovery_claim_needs_the_episodes_of_hahn_and_meeker(claim: str, fits: int, short: int) -> None:
    assert plan(f"episodes: {fits}\n{KILL}claim:\n  {claim}\n")
    with pytest.raises(ScenarioError, match=f"set episodes to {fits} or more"):
        plan(f"episodes: {short}\n{KILL}claim:\n  {claim}\n")


def test_a_rate_claim_is_refused_by_the_number_of_requests_that_were_really_drawn() -> None:
    load = "load: {rate_per_s: 10, arrivals: constant}\nclaim:\n  baseline_success_rate: {min: 0.99}\n"
    assert plan(f"phases: {{baseline_s: 30}}\n{load}").plan.resolves
    with pytest.raises(ScenarioError, match="299 are needed"):
        plan(f"phases: {{baseline_s: 29}}\n{load}")


def test_what_never_happens_cannot_be_claimed() -> None:
    with pytest.raises(ScenarioError, match="no amount of data"):
        plan("claim:\n  baseline_wrong_answer_rate: {max: 0}\n")


def test_unknown_names_are_reported_with_their_lines_and_a_suggestion() -> None:
    text = "load:\n  mix:\n    chatt: 1\nfaults:\n  - kind: process.kill\n    on: primry\n"
    with pytest.raises(ScenarioError) as caught:
        plan(text)
    assert [problem.line for problem in caught.value.problems] == [7, 4]
    assert all("did you mean" in problem.message for problem in caught.value.problems)


def test_a_fault_that_the_stack_cannot_do_is_refused_by_name() -> None:
    with pytest.raises(CapabilityError, match=r"x.yaml:3: process.kill needs the capability 'kill'.*stack 'fake'"):
        plan(KILL, capabilities=frozenset({Capability.PAUSE}))


def test_planner_and_judge_agree_on_what_a_steady_baseline_needs() -> None:
    assert resolution.BASELINE_MIN_N == validity.BASELINE_MIN_N


@pytest.mark.parametrize("key", ["supervisor: always", "supervision: {max_restarts: 2}"])
def test_a_supervisor_is_chosen_only_where_the_stack_lets_one_be_chosen(key: str) -> None:
    some = frozenset(Capability) - {Capability.SUPERVISOR}
    plan(KILL, capabilities=some)
    with pytest.raises(CapabilityError, match=f"target.{key.partition(':')[0]} needs the capability 'supervisor'"):
        plan(f"target: {{{key}}}\n{KILL}", capabilities=some)


def test_a_balancer_is_chosen_only_where_the_stack_has_another() -> None:
    some = frozenset(Capability) - {Capability.BALANCER}
    plan(f"target: {{balancer: gateway}}\n{KILL}", capabilities=some)
    plan(f"target: {{balancer: haproxy}}\n{KILL}")
    with pytest.raises(CapabilityError, match=r"target.balancer needs the capability 'balancer'"):
        plan(f"target: {{balancer: haproxy}}\n{KILL}", capabilities=some)
