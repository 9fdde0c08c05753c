"""Faults of a container's resources: what counts as evidence, what does not, and what the planner refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import ActiveFault, CannotInject, Where
from harness.faults.inverse import INVERSES
from harness.faults.table import DOERS, activate
from harness.model.capability import OF_CONTAINERS, Capability
from harness.model.errors import CapabilityError, ScenarioError
from harness.model.fault import Fault
from harness.model.faults import FAULTS
from harness.model.resource_faults import (
    RESOURCE_FAULTS,
    ClockJump,
    MemoryOom,
    MemoryPressure,
    ResourcesCpu,
    ResourcesDiskFull,
    ResourcesFd,
    StorageSlow,
)
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts, needs_of
from harness.stack.base import RunContext
from harness.stack.fake.links import GOOD, Over
from harness.stack.fake.resources import FakeResources
from harness.stack.fake.stack import FakeStack
from harness.stack.links import Ask, Seen
from harness.stack.resources import Memory, Processors, Space
from tests.fake_run import HEAD, verdict_of

pytestmark = pytest.mark.whole

LASTING = sorted(set(RESOURCE_FAULTS) - {"memory.oom"})
CALM = "observe: {lost_requests: {max: 9999}}\n"
MIB = 2**20


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def where(tmp_path: Path, clock: FakeClock) -> Where:
    stack = FakeStack(clock)
    stack.up(RunContext("run", tmp_path, 0.0))
    return Where(stack, "run", tmp_path, "seed/1/0")


def injected(fault: Fault, where: Where) -> ActiveFault:
    found = activate(fault, where)
    found.prepare()
    found.apply()
    return found


def proof_of(fault: ActiveFault, clock: FakeClock, looks: int = 40) -> str | None:
    for _ in range(looks):
        clock.sleep(0.25)
        proof = fault.proof()
        if proof is not None:
            assert proof.proven
            return proof.evidence
    return None


def healed(fault: ActiveFault, clock: FakeClock) -> bool:
    for _ in range(40):
        if fault.healed():
            return True
        clock.sleep(0.25)
    return False


@pytest.mark.parametrize("kind", LASTING)
def test_each_is_proven_while_it_lasts_and_healed_only_when_it_was_taken_back(
    where: Where, clock: FakeClock, kind: str
) -> None:
    fault = injected(FAULTS[kind](kind=kind), where)
    assert proof_of(fault, clock)
    assert fault.lost() is None
    assert not fault.healed()
    fault.after_inverse()
    assert healed(fault, clock)


@pytest.mark.parametrize("kind", sorted(RESOURCE_FAULTS))
def test_each_was_not_proven_before_it_began(where: Where, clock: FakeClock, kind: str) -> None:
    fault = activate(FAULTS[kind](kind=kind), where)
    fault.prepare()
    assert proof_of(fault, clock, looks=4) is None


@pytest.mark.parametrize(("by", "how"), [("ballast", "terminated by SIGKILL"), ("leak", "exit status 70")])
def test_out_of_memory_is_the_kernels_count_and_the_end_of_the_server(
    where: Where, clock: FakeClock, by: str, how: str
) -> None:
    fault = injected(MemoryOom(by=by), where)  # type: ignore[arg-type]
    evidence = proof_of(fault, clock)
    assert evidence is not None and "OOM killer struck in the container of primary (1 by its count)" in evidence
    assert evidence.endswith(how)
    fault.after_inverse()
    assert healed(fault, clock)


def test_a_server_that_was_killed_without_the_kernels_count_is_no_proof(where: Where, clock: FakeClock) -> None:
    fault = activate(MemoryOom(), where)
    fault.prepare()
    victim = where.stack.process("primary")
    assert victim is not None
    where.stack.signal(victim, "SIGKILL")
    assert proof_of(fault, clock) is None


@pytest.mark.parametrize(
    ("before", "after", "kills"),
    [((0, 4), (0, 5), 1), ((2, 4), (3, 4), 1), ((0, 0), (1, 2), 2), ((3, 9), (3, 9), 0), ((0, 9), (0, 2), 0)],
)
def test_one_witness_of_a_kill_is_enough_and_what_it_counted_before_is_not_ours(
    where: Where, monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int], kills: int
) -> None:
    """The last one: a log that has lost its oldest lines."""
    monkeypatch.setattr(FakeResources, "ooms", lambda *_: before)
    fault = activate(MemoryOom(), where)
    fault.prepare()
    monkeypatch.setattr(FakeResources, "ooms", lambda *_: after)
    victim = where.stack.process("primary")
    assert victim is not None
    where.stack.signal(victim, "SIGKILL")
    proof = fault.proof()
    assert (proof is not None) == bool(kills)
    assert proof is None or f"({kills} by its count)" in proof.evidence


def test_memory_without_a_limit_is_never_filled(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeResources, "memory", lambda *_: Memory(None, MIB, 0))
    for fault in (MemoryOom(), MemoryPressure()):
        with pytest.raises(CannotInject, match="no memory limit, so the host's would be used up"):
            activate(fault, where).prepare()


def test_pressure_leaves_room_for_a_health_check(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeResources, "memory", lambda *_: Memory(256 * MIB, 100 * MIB, 0))
    with pytest.raises(CannotInject, match="95% of 256 MiB leaves less than 48 MiB"):
        activate(MemoryPressure(share=0.95), where).prepare()
    monkeypatch.setattr(FakeResources, "memory", lambda *_: Memory(1024 * MIB, 1000 * MIB, 0))
    with pytest.raises(CannotInject, match="uses 98% of its memory already"):
        activate(MemoryPressure(), where).prepare()


def test_pressure_that_killed_was_not_the_fault_that_was_planned(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(MemoryPressure(), where)
    monkeypatch.setattr(FakeResources, "ooms", lambda *_: (1,))
    assert proof_of(fault, clock, looks=2) is None
    assert "OOM killer struck" in str(fault.lost())


@pytest.mark.parametrize("kind", ["memory.pressure", "resources.disk_full", "resources.fd", "resources.shm"])
def test_what_ends_before_its_time_is_told(where: Where, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = injected(FAULTS[kind](kind=kind), where)
    monkeypatch.setattr(FakeResources, "holds", lambda *_: False)
    assert str(fault.lost()) == f"what held {kind} in the container of primary had ended"


def test_a_replica_that_was_restarted_meanwhile_is_the_targets_answer(where: Where, clock: FakeClock) -> None:
    fault = injected(ResourcesDiskFull(), where)
    where.stack.restart("primary")
    clock.sleep(10)
    assert fault.lost() is None
    assert healed(fault, clock)


def test_a_quota_that_is_never_used_up_is_no_proof(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ResourcesCpu(), where)
    monkeypatch.setattr(FakeResources, "processors", lambda *_: Processors(0.1, 1000, 2, 0.1))
    assert proof_of(fault, clock, looks=4) is None


def test_a_quota_that_somebody_else_changed_did_not_last(where: Where) -> None:
    fault = injected(ResourcesCpu(), where)
    where.stack.resources.limit_processors("primary", 0.7)
    assert "changed by somebody else" in str(fault.lost())


def test_more_processors_than_there_are_is_no_fault(where: Where) -> None:
    with pytest.raises(CannotInject, match=r"may use no more than 1\.5 processors anyway"):
        activate(ResourcesCpu(processors=2), where).prepare()


def test_a_folder_that_is_no_volume_of_its_own_is_never_filled(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeResources, "space", lambda *_: None)
    with pytest.raises(CannotInject, match="/logs is no volume of its own in the container of primary"):
        activate(ResourcesDiskFull(), where).prepare()


def test_a_volume_with_a_block_free_is_not_full(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ResourcesDiskFull(), where)
    monkeypatch.setattr(FakeResources, "space", lambda *_: Space(MIB, 4096))
    assert proof_of(fault, clock, looks=4) is None


class Answered:
    def seen(self) -> Seen:
        return GOOD


def test_a_server_that_still_answers_new_connections_has_not_run_out_of_descriptors(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(ResourcesFd(), where)
    monkeypatch.setattr(FakeResources, "look", lambda self, replica, ask: Answered())
    assert proof_of(fault, clock, looks=4) is None
    assert isinstance(where.stack.resources.look("primary", Ask()), Answered)


def test_descriptors_to_spare_are_proven_by_the_limit(where: Where, clock: FakeClock) -> None:
    fault = injected(ResourcesFd(spare=5), where)
    evidence = proof_of(fault, clock)
    assert evidence is not None and "has 40 descriptors and may have 45, before 20000" in evidence


@pytest.mark.parametrize("by_s", [3600.0, -86400.0])
def test_a_clock_is_judged_by_what_the_replica_says_of_the_time(where: Where, clock: FakeClock, by_s: float) -> None:
    fault = injected(ClockJump(by_s=by_s), where)
    assert f"{by_s:+.0f} s from the clock of this host" in str(proof_of(fault, clock))
    where.stack.resources.set_clock("primary", 0.0)
    assert fault.lost() is not None


def test_a_stack_that_cannot_move_the_clock_says_why(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeResources, "clock_can_jump", lambda *_: "primary runs without libfaketime")
    with pytest.raises(CannotInject, match="primary runs without libfaketime"):
        activate(ClockJump(), where).prepare()


def test_slow_reads_of_a_replica_that_is_ready_are_no_proof(where: Where, clock: FakeClock) -> None:
    fault = injected(StorageSlow(kb_per_s=1024), where)
    clock.sleep(10)  # loaded
    assert proof_of(fault, clock, looks=4) is None


@pytest.mark.parametrize(
    ("seen", "proven"), [(Seen(False, refused=True), True), (Seen(True, reset=True), True), (Seen(True), False)]
)
def test_slow_reads_before_anybody_listens_are_proven_and_silence_is_not(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, seen: Seen, proven: bool
) -> None:
    fault = injected(StorageSlow(), where)
    monkeypatch.setattr(FakeResources, "look", lambda *_: Over(seen))
    assert ("nobody listened for GET /ready yet" in str(proof_of(fault, clock))) == proven


@pytest.mark.parametrize("kind", sorted(RESOURCE_FAULTS))
def test_a_replica_that_is_down_is_in_no_state_for_any(where: Where, kind: str) -> None:
    victim = where.stack.process("primary")
    assert victim is not None
    where.stack.signal(victim, "SIGKILL")
    with pytest.raises(CannotInject):
        activate(FAULTS[kind](kind=kind), where).prepare()


@pytest.mark.parametrize("kind", sorted(RESOURCE_FAULTS))
def test_each_is_a_whole_run_on_the_fake_stack(tmp_path: Path, kind: str) -> None:
    (episode,) = verdict_of(tmp_path, f"{CALM}faults: [{{kind: {kind}}}]\n").episodes
    assert episode.proven, episode.proof


def planned(text: str, capabilities: frozenset[Capability] = frozenset(Capability)) -> None:
    known = replace(facts(FakeStack(FakeClock(0.0))), capabilities=capabilities)
    make_plan(parse_scenario(HEAD + text, "x.yaml"), known, "1")


@pytest.mark.parametrize("kind", sorted(RESOURCE_FAULTS))
def test_a_stack_of_mere_processes_refuses_each_when_it_is_planned(kind: str) -> None:
    assert kind in DOERS
    with pytest.raises(CapabilityError, match=f"{kind} needs the capability '"):
        planned(f"faults: [{{kind: {kind}}}]\n", frozenset(Capability) - OF_CONTAINERS)


def test_a_leak_needs_replicas_that_can_be_told_to() -> None:
    with pytest.raises(CapabilityError, match=r"memory\.oom needs the capability 'service_faults'"):
        planned("faults: [{kind: memory.oom, by: leak}]\n", frozenset(Capability) - {Capability.SERVICE_FAULTS})


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ("{kind: memory.oom}, {kind: memory.pressure}", "fill the same memory"),
        ("{kind: memory.oom}, {kind: resources.shm}", "memory.oom ends the container of primary, and resources.shm"),
        ("{kind: resources.fd}, {kind: process.kill, at_s: 2}", "process.kill ends the container of primary"),
        ("{kind: resources.cpu}, {kind: resources.cpu, at_s: 1}", "primary has resources.cpu already then"),
        ("{kind: clock.jump, by_s: -3}", "faults.0.by_s: must be 10 or more, forward or back"),
    ],
)
def test_faults_that_would_end_or_prove_one_another_are_refused(faults: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        planned(f"faults: [{faults}]\n")


def test_a_quota_and_a_clock_stay_with_a_container_that_is_restarted() -> None:
    planned("faults: [{kind: resources.cpu}, {kind: clock.jump}, {kind: process.kill, at_s: 2}]\n")


def test_only_who_has_such_a_fault_needs_what_it_needs() -> None:
    needs = needs_of([ClockJump(on="standby"), MemoryPressure(on="standby")])
    assert needs == {"standby": frozenset({Capability.CLOCK, Capability.RESOURCES})}


def test_every_inverse_of_the_container_stack_can_be_carried_out_by_another_process() -> None:
    assert {"clock.restore", "container.end_helper", "container.read_limit", "container.update"} <= set(INVERSES)
