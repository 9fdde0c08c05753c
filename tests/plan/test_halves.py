from __future__ import annotations

from harness.model.scenario import Scenario
from harness.plan.halves import in_order_of_targets, of_half
from harness.plan.parse import parse_scenario

PAIR = """# Users are served again.
name: {name}
load: {{rate_per_s: 20}}
phases: {{baseline_s: 5, recovery_s: 5}}
target: {{gateway: {{missed_beats: {beats}}}}}
faults: [{fault}]
observe: {{recovery_s: {{max: 5}}}}
expect: {{fragile: {{outcome: fail, because: recovery_s}}, hardened: pass}}
"""
KILL, HANG, DOWN = "{kind: process.kill}", "{kind: service.hang, for_s: 8}", "{kind: network.down, for_s: 5}"


def pair(name: str, fault: str, beats: int = 3) -> Scenario:
    return parse_scenario(PAIR.format(name=name, fault=fault, beats=beats), f"{name}.yaml")


def in_order(scenarios: list[Scenario]) -> list[str]:
    return [
        f"{scenarios[place].name} {scenarios[place].half or ''}".strip() for place in in_order_of_targets(scenarios)
    ]


def test_equal_targets_follow_one_another_and_fragile_halves_come_first() -> None:
    scenarios = [pair("a", DOWN), pair("b", DOWN, beats=60), pair("c", DOWN)]
    halves = [of_half(one, half) for one in scenarios for half in ("hardened", "fragile")]  # type: ignore[arg-type]
    assert in_order(halves) == ["a fragile", "c fragile", "b fragile", "a hardened", "c hardened", "b hardened"]


def test_a_default_that_is_named_makes_no_other_target() -> None:
    options = "target: {{gateway: {{missed_beats: {beats}}}, supervisor: unexpected}}"
    named = PAIR.replace("because: recovery_s", f"because: recovery_s, {options}")
    texts = {"a": PAIR, "b": PAIR.replace("beats: {beats}", "beats: 60"), "c": named}
    scenarios = [parse_scenario(text.format(name=name, fault=DOWN, beats=3), name) for name, text in texts.items()]
    assert in_order([of_half(one, "fragile") for one in scenarios]) == ["a fragile", "c fragile", "b fragile"]


def test_of_equal_targets_those_come_last_that_another_run_could_not_begin_on() -> None:
    scenarios = [of_half(pair(*one), "fragile") for one in (("kill", KILL), ("hang", HANG), ("down", DOWN))]
    assert in_order(scenarios) == ["hang fragile", "down fragile", "kill fragile"]


def test_a_replica_that_is_only_started_again_comes_before_what_ends_the_stack() -> None:
    faults = (
        ("kill", KILL),
        ("poison", "{kind: service.poison}"),
        ("engine", "{kind: service.kill_engine}"),
        ("down", DOWN),
    )
    scenarios = [of_half(pair(*one), "fragile") for one in faults]
    assert in_order(scenarios) == ["down fragile", "poison fragile", "engine fragile", "kill fragile"]


def test_a_hardened_target_ends_an_engine_that_hangs() -> None:
    scenarios = [of_half(pair(*one), "hardened") for one in (("hang", HANG), ("down", DOWN))]
    assert in_order(scenarios) == ["down hardened", "hang hardened"]


def test_scenarios_without_halves_keep_their_order_but_for_their_targets() -> None:
    assert in_order([pair("a", DOWN), pair("b", DOWN, beats=60), pair("c", DOWN)]) == ["a", "c", "b"]
