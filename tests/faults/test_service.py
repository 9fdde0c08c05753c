"""Faults of the service itself: what counts as evidence, what does not, what they do to a scripted target's users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import CannotInject, Where
from harness.faults.on_demand import OnDemand
from harness.faults.service import LeakSlots, PauseEngine
from harness.faults.table import activate
from harness.model.capability import Capability
from harness.model.errors import CapabilityError, ScenarioError, StackError
from harness.model.fault import Fault
from harness.model.faults import FAULTS
from harness.model.service_faults import (
    SERVICE_FAULTS,
    ServiceCrash,
    ServiceHang,
    ServiceLeakMemory,
    ServiceLeakSlots,
    ServicePauseEngine,
    ServicePoison,
    ServiceSlowLoad,
    ServiceStallStream,
    ServiceTruncateStream,
)
from harness.model.verdict import Verdict
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.fake.links import GOOD
from harness.stack.fake.service import LAST_CHUNK, PIECE, ROLE, FakeService
from harness.stack.fake.stack import FakeStack
from harness.stack.links import Ask, Seen
from harness.stack.service import ReplicaSilent, Usage
from target_service.replica.fault_kinds import KINDS
from tests.fake_run import HEAD, verdict_of
from tests.faults.injecting import injected, proofs

pytestmark = pytest.mark.whole

ON_DEMAND = sorted(
    set(SERVICE_FAULTS)
    - {"service.crash", "service.kill_engine", "service.early_ready", "service.slow_load"}
    - {"service.poison"}  # test_service_request.py
)
ENGINE_ENDS = (FAULTS["service.kill_engine"](kind="service.kill_engine"), ServiceCrash(where="engine", exit_code=0))
STREAMS = HEAD.replace("{chat: 1}", "{chat_stream: 1}")
CALM = "observe: {lost_requests: {max: 9999}}\n"


def clock_of(where: Where) -> FakeClock:
    assert isinstance(where.stack, FakeStack)
    clock = where.stack._clock
    assert isinstance(clock, FakeClock)
    return clock


@pytest.mark.parametrize("kind", ON_DEMAND)
def test_each_is_proven_by_what_the_replica_does_and_gone_after_it_was_ended(
    where: Where, clock: FakeClock, kind: str
) -> None:
    fault = injected(FAULTS[kind](kind=kind), where)
    assert proofs(fault, clock)
    assert fault.lost() is None
    assert not fault.healed()
    fault.after_inverse()
    assert fault.healed()
    assert not proofs(fault, clock)


@pytest.mark.parametrize("kind", ON_DEMAND)
def test_a_replica_that_only_says_that_it_has_a_fault_proves_nothing(
    where: Where, clock: FakeClock, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeService, "begin", lambda *_: None)
    monkeypatch.setattr(FakeService, "has", lambda self, process, fault: True)
    fault = activate(FAULTS[kind](kind=kind), where)
    assert isinstance(fault, OnDemand)
    monkeypatch.setattr(FakeService, "has", lambda self, process, fault: False)
    fault.prepare()
    fault.apply()
    assert not proofs(fault, clock)


def seen_as(monkeypatch: pytest.MonkeyPatch, chat: Seen, page: Seen = GOOD) -> None:
    class Over:
        def __init__(self, ask: Ask) -> None:
            self.ask = ask

        def seen(self) -> Seen:
            return chat if self.ask.stream else page

    monkeypatch.setattr(FakeService, "look", lambda self, replica, ask: Over(ask))


SILENT = Seen(connected=True)
CUT = replace(GOOD, answered=False, data=ROLE + PIECE + LAST_CHUNK)
HALTED = replace(GOOD, answered=False, closed_s=None, data=ROLE + PIECE)


@pytest.mark.parametrize(
    ("kind", "chat", "page"),
    [
        ("service.hang", SILENT, Seen(connected=True)),  # the server does not answer either: it is the process
        ("service.hang", SILENT, Seen(connected=False, refused=True)),
        ("service.hang", replace(GOOD, status=429, answered=False), GOOD),  # refused, so somebody may be served
        ("service.hang", replace(HALTED), GOOD),  # it got a token
        ("service.hang", Seen(connected=True, reset=True), GOOD),
        ("service.truncate_stream", replace(CUT, data=ROLE + PIECE), GOOD),  # broken off, and not in good order
        ("service.truncate_stream", replace(CUT, data=ROLE + PIECE * 2 + LAST_CHUNK), GOOD),  # not at its event
        ("service.truncate_stream", replace(CUT, reset=True), GOOD),
        ("service.truncate_stream", replace(CUT, status=500), GOOD),
        ("service.stall_stream", replace(HALTED, closed_s=1.2), GOOD),  # closed, and not silent
        ("service.stall_stream", replace(HALTED, last_byte_s=1.8), GOOD),  # silent for a moment only
        ("service.stall_stream", replace(HALTED, data=ROLE), GOOD),
        ("service.stall_stream", HALTED, Seen(connected=True)),  # the whole server is silent
    ],
)
def test_what_the_fault_cannot_have_caused_is_no_evidence(
    where: Where, monkeypatch: pytest.MonkeyPatch, kind: str, chat: Seen, page: Seen
) -> None:
    clock = clock_of(where)
    fault = injected(FAULTS[kind](kind=kind), where)
    assert proofs(fault, clock)
    seen_as(monkeypatch, chat, page)
    assert not proofs(fault, clock)


def test_a_hang_and_a_spin_are_told_apart_by_the_processor(where: Where, clock: FakeClock) -> None:
    hang = injected(ServiceHang(), where)
    spin = activate(FAULTS["service.spin"](kind="service.spin"), where)
    assert isinstance(spin, OnDemand)
    spin.prepare()
    assert "used 0% of a processor" in proofs(hang, clock)[0]
    spin_evidence = proofs(spin, clock)
    assert not spin_evidence
    hang.after_inverse()
    spin.apply()
    assert "used 100% of a processor" in proofs(spin, clock)[0]
    hang._over = False
    assert not proofs(hang, clock)


def numbers(waiting: int, running: int, places: int = 8) -> Seen:
    text = f"target_queue_depth {waiting}\ntarget_running {running}\ntarget_running_max {places}\n"
    return replace(GOOD, data=text.encode())


@pytest.mark.parametrize(
    ("slots", "page", "shown"),
    [
        (8, numbers(1, 0), True),
        (8, numbers(1, 1), False),  # a place is left
        (8, numbers(0, 0), False),  # nobody waits
        (3, numbers(4, 5), True),
        (3, numbers(4, 6), False),
        (3, numbers(4, 8), False),  # full: an ordinary queue
        (8, replace(GOOD, data=b"target_running 0\n"), False),  # it does not say
    ],
)
def test_lost_places_show_in_requests_that_wait_though_there_is_room(
    where: Where, monkeypatch: pytest.MonkeyPatch, slots: int, page: Seen, shown: bool
) -> None:
    clock = clock_of(where)
    fault = injected(ServiceLeakSlots(slots=slots), where)
    assert isinstance(fault, LeakSlots)
    seen_as(monkeypatch, SILENT, page)
    assert bool(proofs(fault, clock)) is shown


def test_a_leak_that_grew_too_little_is_not_proven_and_one_that_was_kept_is_not_healed(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ServiceLeakMemory(mb=100), where)
    real = fault.before.resident_mb
    for grown_mb, proven in ((89, False), (91, True)):
        now = Usage(9.0, 0.0, real + grown_mb)
        monkeypatch.setattr(FakeService, "usage", lambda self, process, now=now: now)
        assert bool(proofs(fault, clock)) is proven
    fault.after_inverse()
    assert not fault.healed()


def test_more_memory_than_the_host_can_spare_is_not_leaked(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeService, "spare_mb", lambda self: 700.0)
    with pytest.raises(CannotInject, match="would leave this host less than 512 MiB"):
        activate(ServiceLeakMemory(mb=256), where).prepare()


def test_a_leak_that_grows_ends_before_the_host_has_nothing_to_spare(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ServiceLeakMemory(mb=8, kb_per_request=1024), where)
    fault.keep()
    assert where.stack.service.has(fault.victim, "leak_memory")
    monkeypatch.setattr(FakeService, "spare_mb", lambda self: 511.0)
    fault.keep()
    assert not where.stack.service.has(fault.victim, "leak_memory")
    assert fault.lost() == "the host had less than 512 MiB to spare, so the leak was ended"


@pytest.mark.parametrize("code", [0, 1, 70, 139])
def test_a_crash_is_proven_by_the_status_that_its_supervisor_saw(where: Where, code: int) -> None:
    fault = activate(ServiceCrash(exit_code=code), where)
    assert fault.prepare().name == "nothing"
    assert fault.proof() is None
    fault.apply()
    proof = fault.proof()
    assert proof is not None and proof.proven
    assert f"exit status {code}" in proof.evidence


def test_a_process_that_ended_otherwise_did_not_crash_as_told(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = activate(ServiceCrash(exit_code=3), where)
    fault.prepare()
    victim = where.stack.process("primary")
    assert victim is not None

    def silent(*_: object) -> None:
        raise ReplicaSilent("no answer")

    monkeypatch.setattr(FakeService, "begin", silent)
    fault.apply()  # a process that has ended cannot answer
    where.stack.signal(victim, "SIGKILL")
    proof = fault.proof()
    assert proof is not None and not proof.proven


@pytest.mark.parametrize("kind", ENGINE_ENDS)
def test_an_engine_that_ends_is_proven_by_the_child_that_is_gone_and_healed_when_there_is_another(
    where: Where, monkeypatch: pytest.MonkeyPatch, kind: Fault
) -> None:
    fault = activate(kind, where)
    alive = Usage(1.0, 0.0, 1.0, frozenset({(4121, 1), (4200, 7)}))
    seen = {"now": alive}
    monkeypatch.setattr(FakeService, "usage", lambda self, process: seen["now"])
    monkeypatch.setattr(FakeService, "begin", lambda *_: None)
    fault.prepare()
    fault.apply()
    assert fault.proof() is None
    assert not fault.healed()
    seen["now"] = replace(alive, members=frozenset({(4121, 1)}))
    proof = fault.proof()
    assert proof is not None and "process 4200, a child of the server 4121, is gone; the server lives" in proof.evidence
    assert not fault.healed()
    seen["now"] = replace(alive, members=frozenset({(4121, 1), (4300, 8)}))
    assert fault.healed()


@pytest.mark.parametrize("fault", ENGINE_ENDS)
def test_an_engine_without_a_process_of_its_own_cannot_be_ended_alone(
    where: Where, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    alone = Usage(1.0, 0.0, 1.0, frozenset({(4121, 1)}))
    monkeypatch.setattr(FakeService, "usage", lambda self, process: alone)
    with pytest.raises(CannotInject, match="has no process of its own"):
        activate(fault, where).prepare()


def test_a_fault_that_ended_with_the_engines_process_is_the_targets_answer(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ServiceHang(), where)
    where.stack.service.end(fault.victim, "hang")
    assert fault.lost() is not None
    another = replace(fault.before, members=frozenset({(fault.victim.pid, 1), (999, 9)}))
    monkeypatch.setattr(FakeService, "usage", lambda self, process: another)
    assert fault.lost() is None


def test_a_replica_that_refuses_is_not_broken(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise StackError("status 403")

    monkeypatch.setattr(FakeService, "begin", refused)
    for kind in ("service.hang", "service.crash", "service.kill_engine"):
        fault = activate(FAULTS[kind](kind=kind), where)
        fault.prepare()
        with pytest.raises(CannotInject, match="403"):
            fault.apply()


def test_a_fault_that_is_there_already_is_not_put_there_again(where: Where) -> None:
    injected(ServiceHang(), where)
    with pytest.raises(CannotInject, match="primary has hang already"):
        activate(ServiceHang(), where).prepare()


def test_a_fault_that_somebody_else_ended_is_lost_and_one_that_ended_by_a_restart_is_not(where: Where) -> None:
    fault = injected(ServiceHang(), where)
    where.stack.service.end(fault.victim, "hang")
    assert fault.lost() == "primary no longer had hang"
    where.stack.restart("primary")
    assert fault.lost() is None


def test_after_a_restart_the_fault_is_healed_when_the_new_process_serves(where: Where, clock: FakeClock) -> None:
    fault = injected(ServiceHang(), where)
    where.stack.restart("primary")
    fault.after_inverse()
    assert not fault.healed()
    clock.sleep(4.0)
    assert fault.healed()


def verdict(tmp_path: Path, text: str) -> Verdict:
    return verdict_of(tmp_path, text, head=STREAMS)


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ("service.hang", {"timeout"}),
        ("service.spin", {"timeout"}),
        ("service.pause_engine", {"timeout"}),
        ("service.crash", {"http_error"}),
        ("service.kill_engine", {"http_error"}),
        ("service.crash, where: engine, exit_code: 0", {"http_error"}),
        ("service.poison", {"http_error"}),
        ("service.poison, effect: kill_loop", {"timeout", "http_error", "refused"}),  # it is started anew afterwards
        ("service.poison, effect: fail", set()),
        ("service.leak_slots", {"timeout"}),
        ("service.leak_memory", set()),
        ("service.truncate_stream", {"truncated"}),
        ("service.stall_stream", {"deadline_missed"}),
        ("service.slow_load", {"http_error"}),
    ],
)
def test_users_lose_what_such_a_replica_takes_from_them(tmp_path: Path, fault: str, lost: set[str]) -> None:
    (episode,) = verdict(tmp_path, f"faults: [{{kind: {fault}}}]\n{CALM}").episodes
    assert episode.valid, episode.invalid_reason
    assert set(episode.lost) == lost


@pytest.mark.parametrize("kind", ["service.hang", "service.spin", "service.leak_slots"])
def test_a_shallow_health_check_does_not_see_an_engine_that_gives_no_token_and_a_deep_one_does(
    tmp_path: Path, kind: str
) -> None:
    fault = f"faults: [{{kind: {kind}}}]\n{CALM}"
    (shallow,) = verdict(tmp_path / "shallow", fault).episodes
    (deep,) = verdict(tmp_path / "deep", f"target: {{protection: hardened}}\n{fault}").episodes
    assert shallow.lost_requests > 120  # of about 160: those of its last 2 s are answered when it is over
    assert shallow.stages.detect_s is None
    assert deep.lost_requests < 70  # 2 s until it is noticed, three beats more
    assert deep.stages.detect_s == pytest.approx(2.25, abs=0.05)


def test_an_early_ready_replica_says_so_before_it_serves_and_a_slow_one_is_late(tmp_path: Path) -> None:
    (early,) = verdict(tmp_path / "early", f"faults: [{{kind: service.early_ready}}]\n{CALM}").episodes
    assert early.proven and "with 200, and then a chat with 503" in early.proof
    (slow,) = verdict(tmp_path / "slow", f"faults: [{{kind: service.slow_load, slow_load_s: 6}}]\n{CALM}").episodes
    assert slow.proven and "still answers 503" in slow.proof
    assert slow.stages.restore_s == pytest.approx(3 + 1 + 6, abs=0.05)


def test_a_start_that_is_slow_by_itself_does_not_prove_the_fault(where: Where, clock: FakeClock) -> None:
    fault = activate(ServiceSlowLoad(slow_load_s=5), where)
    fault.prepare()
    where.stack.service.start_with("primary", ("--early-ready", "--slow-load-s", "4"))
    where.stack.restart("primary")
    seen = []
    for _ in range(60):
        clock.sleep(0.25)
        seen.append(fault.proof())
    assert seen == [None] * 60


def test_a_start_that_was_ended_while_it_was_slow_proves_the_fault_if_it_was_longer_than_an_ordinary_one(
    where: Where, clock: FakeClock
) -> None:
    fault = activate(ServiceSlowLoad(slow_load_s=60, for_s=90), where)
    fault.prepare()
    fault.apply()
    for waits_s, proves in ((4.5, False), (8.0, True)):  # three of them until it is started
        seen = []
        for _ in range(int(waits_s / 0.25)):
            clock.sleep(0.25)
            seen.append(fault.proof())
        where.stack.restart("primary")
        for _ in range(16):
            clock.sleep(0.25)
            seen.append(fault.proof())
        assert any(seen) == proves
    (found,) = {one.evidence.partition(" was ")[2] for one in seen if one}
    assert "before it was ended" in found


def test_a_start_that_is_still_slow_when_the_fault_ends_is_started_anew_without(where: Where, clock: FakeClock) -> None:
    fault = activate(ServiceSlowLoad(slow_load_s=500, for_s=600), where)
    fault.prepare()
    fault.apply()
    clock.sleep(10)
    slow = where.stack.process("primary")
    assert where.stack.service.load_s("primary") is None
    fault.after_inverse()
    clock.sleep(4)
    assert where.stack.process("primary") != slow
    assert fault.healed()


def test_start_options_that_somebody_else_changed_are_a_lost_fault(where: Where) -> None:
    fault = activate(ServiceSlowLoad(), where)
    fault.prepare()
    fault.apply()
    assert fault.lost() is None
    where.stack.service.start_with("primary", ())
    assert fault.lost() is not None
    where.stack.service.start_with("primary", ("--early-ready",))
    with pytest.raises(CannotInject):
        activate(ServiceSlowLoad(), where).prepare()


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ("{kind: service.truncate_stream}", "needs token streams"),
        ("{kind: service.stall_stream}", "needs token streams"),
        ("{kind: service.slow_load, slow_load_s: 20}", "slow_load_s: must be below for_s, 15"),
        ("{kind: service.hang}, {kind: service.leak_slots, at_s: 5}", "primary has service.hang already then"),
        ("{kind: service.hang}, {kind: process.pause, at_s: 5}", "a fault of the service ends with its process"),
        ("{kind: process.pause}, {kind: service.hang, at_s: 5}", "a fault of the service ends with its process"),
        ("{kind: service.hang}, {kind: weights.bit_flip, at_s: 5}", "a fault of the service ends with its process"),
        ("{kind: service.crash, exit_code: 256}", "less than or equal to 255"),
    ],
)
def test_what_could_not_be_shown_or_not_be_ended_is_refused(faults: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        planned(f"faults: [{faults}]\n")


def test_faults_of_two_replicas_and_of_a_link_may_be_there_at_once() -> None:
    planned("faults: [{kind: service.hang}, {kind: service.hang, on: standby}, {kind: network.latency, at_s: 2}]\n")
    planned("faults: [{kind: service.hang}, {kind: weights.bit_flip, restart_after_s: null, at_s: 1}]\n")


def test_every_fault_that_a_replica_can_do_to_itself_can_be_asked_for() -> None:
    own = {kind.removeprefix("service.") for kind in SERVICE_FAULTS}
    assert own - {"pause_engine"} == set(KINDS)
    assert ServicePauseEngine().arguments == {"signal": 19}  # of the replica's own kill_engine


def planned(text: str, capabilities: frozenset[Capability] = frozenset(Capability)) -> None:
    known = replace(facts(FakeStack(FakeClock(0.0))), capabilities=capabilities)
    make_plan(parse_scenario(HEAD + text, "x.yaml"), known, "seed")


def test_a_stack_without_fault_endpoints_refuses_them() -> None:
    with pytest.raises(CapabilityError, match=r"service\.hang needs the capability 'service_faults'"):
        planned("faults: [{kind: service.hang}]\n", frozenset(Capability) - {Capability.SERVICE_FAULTS})


def test_a_replica_is_told_the_parameters_by_their_names() -> None:
    assert ServiceHang().arguments == {}
    assert ServiceCrash(exit_code=3).arguments == {"exit_code": 3, "where": "server"}
    assert ServicePoison(marker="x").arguments == {"marker": "x", "effect": "crash"}
    assert ServiceLeakMemory(mb=9, kb_per_request=4).arguments == {"mb": 9, "kb_per_request": 4}
    assert ServiceTruncateStream(events=2).arguments == ServiceStallStream(events=2).arguments == {"events": 2}


def test_a_paused_engine_is_proven_by_its_state_and_by_users_who_get_nothing(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ServicePauseEngine(), where)
    assert isinstance(fault, PauseEngine)
    (words,) = set(proofs(fault, clock))
    assert f"process {fault.engine.pid}, a child of the server, is in state T (stopped); a chat got no token" in words
    monkeypatch.setattr(FakeStack, "state", lambda self, process: "running")
    assert not proofs(fault, clock)  # a hang, of whatever cause
    monkeypatch.undo()
    seen_as(monkeypatch, GOOD)
    assert not proofs(fault, clock)  # stopped, and nobody felt it


def test_an_engine_that_stays_stopped_is_not_healed(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = injected(ServicePauseEngine(), where)
    fault.after_inverse()
    assert fault.healed()
    monkeypatch.setattr(FakeStack, "state", lambda self, process: "stopped")
    assert not fault.healed()


def test_an_engine_in_the_servers_own_process_is_not_paused(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "related", lambda self, process, of: None)
    with pytest.raises(CannotInject, match="the engine of primary has no process of its own"):
        activate(ServicePauseEngine(), where).prepare()
