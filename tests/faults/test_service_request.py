"""Faults that one certain request shows: what is taken for their evidence, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import CannotInject, Where
from harness.faults.table import activate
from harness.model.errors import ScenarioError, StackError
from harness.model.fault import Fault
from harness.model.faults import FAULTS
from harness.model.service_faults import ServiceStaleCache
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.base import RunContext, TargetProcess
from harness.stack.fake.links import GOOD
from harness.stack.fake.service import FakeService
from harness.stack.fake.stack import FakeStack
from harness.stack.links import Ask, Look, Seen
from harness.stack.service import Usage
from tests.fake_run import HEAD, verdict_of
from tests.faults.injecting import injected, proofs

pytestmark = pytest.mark.whole

KEEPS = "target: {replica: {cache_size: 64, cache_ttl_s: 1}}\n"
EFFECTS = ("crash", "kill_loop", "fail")


def poison(effect: str) -> Fault:
    return FAULTS["service.poison"](kind="service.poison", effect=effect)


# -- poison


@pytest.mark.parametrize(
    ("effect", "evidence"),
    [
        ("crash", "'poison-pill' was not answered, and process"),
        ("kill_loop", "'poison-pill' was not answered, and from then on one without it got no token"),
        ("fail", "'poison-pill' was answered with 500, and one without it whole"),
    ],
)
def test_a_poisoned_request_is_proven_by_what_it_does_and_the_replica_serves_again_afterwards(
    where: Where, clock: FakeClock, effect: str, evidence: str
) -> None:
    fault = injected(poison(effect), where)
    assert evidence in proofs(fault, clock)[0]
    fault.after_inverse()
    clock.sleep(5.0)
    assert fault.healed()
    assert not proofs(fault, clock)


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_replica_that_only_says_that_it_is_poisoned_proves_nothing(
    where: Where, clock: FakeClock, effect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeService, "begin", lambda *_: None)
    assert not proofs(injected(poison(effect), where), clock)


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_replica_that_refuses_everybody_is_not_thereby_poisoned(
    where: Where, clock: FakeClock, effect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(poison(effect), where)
    answers(monkeypatch, lambda _: replace(GOOD, status=503, answered=False))
    assert not proofs(fault, clock)


def test_an_engine_that_is_silent_to_one_request_and_not_to_the_next_has_not_lost_its_loop(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(poison("kill_loop"), where)
    answers(monkeypatch, lambda ask: Seen(connected=True) if ask.says else said("text"))
    assert not proofs(fault, clock)


def test_an_engine_whose_loop_has_ended_gets_a_new_process_since_nothing_else_revives_it(
    where: Where, clock: FakeClock
) -> None:
    fault = injected(poison("kill_loop"), where)
    assert proofs(fault, clock)
    fault.after_inverse()
    assert where.stack.process("primary") != fault.victim


def test_a_server_with_its_engine_in_it_that_dies_of_a_request_is_proven_by_its_own_end(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeService.usage

    def usage(self: FakeService, process: TargetProcess) -> Usage | None:
        now = real(self, process)
        return None if now is None else replace(now, members=frozenset({(process.pid, 1)}))

    monkeypatch.setattr(FakeService, "usage", usage)
    fault = injected(poison("crash"), where)
    assert "the server with its engine in it, is gone: exit status 70" in proofs(fault, clock)[0]


# -- stale cache


def answers(
    monkeypatch: pytest.MonkeyPatch, chat: Callable[[Ask], Seen], version: str = "one", ttl_s: float = 1.0
) -> None:
    """Replace what every look sees; `chat` makes it of the question."""

    class Over:
        def __init__(self, ask: Ask) -> None:
            self.ask = ask

        def seen(self) -> Seen:
            if self.ask.stream:
                return chat(self.ask)
            pages = {"/version": {"weights_sha256": version}, "/config": {"config": {"http.cache_ttl_s": ttl_s}}}
            return replace(GOOD, data=json.dumps(pages.get(self.ask.page, {})).encode())

    def look(self: FakeService, replica: str, ask: Ask) -> Look:
        return Over(ask)

    monkeypatch.setattr(FakeService, "look", look)


FAILED = replace(GOOD, status=500, answered=False)


def said(text: str) -> Seen:
    return replace(GOOD, data=f'data: {{"content": ""}}\n\ndata: {{"content": "{text}"}}\n\ndata: [DONE]'.encode())


def test_an_answer_that_should_have_been_forgotten_is_given_again_and_nobody_computed_it(
    where: Where, clock: FakeClock
) -> None:
    fault = injected(ServiceStaleCache(), where)
    (evidence,) = proofs(fault, clock)
    assert "s old, though GET /config says http.cache_ttl_s 1" in evidence
    service = where.stack.service
    assert service.has(fault.victim, "poison")
    fault.after_inverse()
    assert not service.has(fault.victim, "poison")
    assert fault.healed()


def test_an_answer_of_a_model_that_has_gone_is_stale_however_young_it_is(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ServiceStaleCache(), where)

    def chat(ask: Ask) -> Seen:
        return FAILED if ask.probe else said("old")

    answers(monkeypatch, chat, "one", 600)
    assert not proofs(fault, clock)
    answers(monkeypatch, chat, "two", 600)
    assert "of the model one, though GET /version says two" in proofs(fault, clock)[0]


@pytest.mark.parametrize(
    ("again", "beside"),
    [
        (said("old"), said("new")),  # others are answered: this one may have been computed, too
        (FAILED, FAILED),  # it was computed
        (said("new"), FAILED),  # it is another answer
        (said("old"), replace(FAILED, status=503)),  # who sheds load says nothing of what would be computed
    ],
)
def test_what_may_have_been_computed_is_no_stale_answer(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, again: Seen, beside: Seen
) -> None:
    fault = injected(ServiceStaleCache(), where)
    asked: list[str] = []

    def chat(ask: Ask) -> Seen:
        if ask.probe:
            return beside
        asked.append(str(ask.says))
        return said("old") if len(asked) == 1 else again

    answers(monkeypatch, chat)
    assert not proofs(fault, clock)
    assert len(set(asked)) == 1, "it is always the same question"


def test_a_cache_that_forgets_in_time_is_not_stale(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeService.begin
    monkeypatch.setattr(
        FakeService, "begin", lambda self, p, name, kw: real(self, p, name, kw) if name != "stale_cache" else None
    )
    assert not proofs(injected(ServiceStaleCache(), where), clock)


def test_a_replica_that_keeps_no_answers_gives_no_stale_ones(tmp_path: Path, clock: FakeClock) -> None:
    stack = FakeStack(clock)
    stack.up(RunContext("run", tmp_path, 0.0))
    fault = activate(ServiceStaleCache(), Where(stack, "run", tmp_path, "seed/1/0"))
    fault.prepare()
    with pytest.raises(CannotInject, match="no answers are kept"):
        fault.apply()


def test_a_replica_that_is_poisoned_already_cannot_show_it(where: Where) -> None:
    injected(poison("fail"), where)
    with pytest.raises(CannotInject, match="primary has poison already"):
        activate(ServiceStaleCache(), where).prepare()


def test_a_replica_that_falls_silent_meanwhile_cannot_show_it(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: FakeService, process: TargetProcess, fault: str) -> bool:
        if fault == "poison":
            raise StackError("no answer within 0.8 s")
        return False

    monkeypatch.setattr(FakeService, "has", silent)
    with pytest.raises(CannotInject, match="no answer"):
        activate(ServiceStaleCache(), where).prepare()


def test_a_run_on_the_scripted_target_proves_and_heals_it(tmp_path: Path) -> None:
    (episode,) = verdict_of(tmp_path, f"{KEEPS}faults: [{{kind: service.stale_cache}}]\n").episodes
    assert episode.valid, episode.invalid_reason
    assert "a kept answer was given" in episode.proof


# -- the plan


def planned(text: str) -> None:
    make_plan(parse_scenario(HEAD + text, "x.yaml"), facts(FakeStack(FakeClock(0.0))), "seed")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("faults: [{kind: service.stale_cache}]", "needs answers that are kept"),
        (
            f"{KEEPS}faults: [{{kind: service.stale_cache, for_s: 2}}]",
            "must be at most 0, or no kept answer is too old",
        ),
        ("target: {replica: {cache_size: 9}}\nfaults: [{kind: service.stale_cache}]", "must be at most 8"),
        (
            f"{KEEPS}faults: [{{kind: service.stale_cache}}, {{kind: service.poison, at_s: 1}}]",
            "has service.stale_cache",
        ),
        (f"{KEEPS}faults: [{{kind: service.stale_cache}}, {{kind: process.kill, at_s: 1}}]", "ends with its process"),
        ("faults: [{kind: service.poison, marker: ''}]", "at least 1"),
        ("faults: [{kind: service.poison, effect: hurt}]", "crash"),
    ],
)
def test_what_could_not_be_shown_is_refused(text: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        planned(f"{text}\n")


@pytest.mark.parametrize("end", ["service.kill_engine", "service.crash, where: engine", "process.kill, of: engine"])
def test_kept_answers_outlive_the_engine_so_its_end_may_come_in_between(end: str) -> None:
    keeps = "target: {replica: {cache_size: 9, restart_engine: on}}\n"
    planned(f"{keeps}faults: [{{kind: service.stale_cache}}, {{kind: {end}, at_s: 2}}]\n")
