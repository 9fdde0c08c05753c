"""Servers that are cut off, killed again and again, taken away, or kept from starting: what shows it, what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import ActiveFault, CannotInject, Where
from harness.faults.inverse import carry_out
from harness.faults.table import activate
from harness.model.capability import Capability
from harness.model.errors import BlastRadiusError, CapabilityError, ScenarioError, StackError
from harness.model.fault import Fault
from harness.model.faults import FAULTS
from harness.model.partition_faults import NetworkDns, NetworkPartition
from harness.model.process_faults import NodeDown, ProcessCrashLoop, ProcessKill
from harness.model.scenario import TargetOptions
from harness.model.start_faults import StartDependencyMissing, StartModelMissing, StartPortTaken
from harness.model.weights_faults import WeightsBitFlip, WeightsPermissions
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.record.journal import Inverse
from harness.session import facts
from harness.stack.base import RunContext
from harness.stack.fake.partition import FakePartitions
from harness.stack.fake.stack import FakeStack
from harness.stack.partition import Reached, Resolved
from tests.fake_run import HEAD, verdict_of

pytestmark = pytest.mark.whole

CALM = "observe: {lost_requests: {max: 9999}}\n"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def where(tmp_path: Path, clock: FakeClock) -> Where:
    return where_of(tmp_path, clock, TargetOptions())


def where_of(folder: Path, clock: FakeClock, target: TargetOptions) -> Where:
    stack = FakeStack(clock)
    stack.up(RunContext("run", folder, 0.0, target=target))
    return Where(stack, "run", folder, "seed/1/0")


def injected(fault: Fault, where: Where) -> ActiveFault:
    found = activate(fault, where)
    found.prepare()
    found.apply()
    return found


def proven(fault: ActiveFault, clock: FakeClock, looks: int = 60) -> str:
    for _ in range(looks):
        fault.keep()
        proof = fault.proof()
        if proof is not None:
            assert proof.proven
            return proof.evidence
        clock.sleep(0.25)
    return ""


PARTITIONS = [
    (NetworkPartition(), "both ways"),
    (NetworkPartition(direction="to_replica"), "on the way there"),
    (NetworkPartition(direction="to_gateway"), "on the way back"),
    (NetworkPartition(on="all"), "to standby"),
    (NetworkPartition(how="refuse"), "refused while it answered others"),
    (NetworkPartition(how="disconnect"), "no way, as the engine says"),
    (NetworkDns(), "got none"),
    (NetworkDns(how="drop", on="standby"), "got none"),
]


@pytest.mark.parametrize(("fault", "words"), PARTITIONS)
def test_a_cut_is_proven_from_where_the_cut_server_stands_and_gone_when_it_is_mended(
    where: Where, clock: FakeClock, fault: Fault, words: str
) -> None:
    active = injected(fault, where)
    assert words in proven(active, clock)
    assert active.lost() is None
    assert not active.healed()
    active.after_inverse()
    assert active.healed()
    assert active.proof() is None


@pytest.mark.parametrize(("fault", "words"), PARTITIONS)
def test_a_cut_that_was_not_made_is_not_proven(
    where: Where, clock: FakeClock, fault: Fault, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePartitions, "cut", lambda self, cut: None)
    assert proven(injected(fault, where), clock) == ""


SILENT = Reached(connected=False, dropped=4)


@pytest.mark.parametrize(
    ("how", "reached"),
    [
        ("drop", replace(SILENT, dropped=0)),  # no packet met the rules: something else is silent
        ("drop", replace(SILENT, refused=True)),  # nobody listens, which is no black hole
        ("drop", Reached(connected=True, dropped=4)),  # it got through
        ("refuse", SILENT),
        ("refuse", Reached(connected=False, refused=True)),  # by the server itself
        ("disconnect", Reached(connected=True, answered=True)),
    ],
)
def test_what_a_cut_cannot_have_caused_is_no_evidence(
    where: Where, clock: FakeClock, how: str, reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(NetworkPartition(how=how), where)  # type: ignore[arg-type]
    assert proven(fault, clock)
    fault = activate(NetworkPartition(how=how), where)  # type: ignore[arg-type]
    with pytest.raises(CannotInject, match="cut off already"):
        fault.prepare()
    fault.after_inverse()
    fault.prepare()
    fault.apply()
    monkeypatch.setattr(FakePartitions, "reach", lambda self, cut, replica: Over(reached))
    assert proven(fault, clock) == ""


def test_a_name_that_was_found_or_not_found_for_another_reason_is_no_evidence(
    where: Where, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(NetworkDns(), where)
    for got in (Resolved("x", "10.0.0.1", dropped=3), Resolved("x", None, "no such name")):
        monkeypatch.setattr(FakePartitions, "resolve", lambda self, cut, got=got: Over(got))
        assert proven(fault, clock) == ""


class Over:
    def __init__(self, what: object) -> None:
        self.what = what

    def seen(self) -> object:
        return self.what


def test_a_cut_that_went_with_a_restarted_servers_network_is_lost(where: Where) -> None:
    fault = injected(NetworkPartition(), where)
    assert isinstance(where.stack, FakeStack)
    where.stack.target.cuts.clear()
    lost = fault.lost()
    assert lost is not None and "a server that is restarted has a new network" in lost


def test_a_stack_that_cannot_cut_says_so_when_the_fault_is_due(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StackError("no helper")

    monkeypatch.setattr(FakePartitions, "prepare", refuse)
    with pytest.raises(CannotInject, match="no helper"):
        activate(NetworkPartition(), where).prepare()


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ("server", "its supervisor says: terminated by SIGKILL"),
        ("engine", "the engine of the server 4121, is gone; so is the server"),
        ("init", "with its container's first process"),
    ],
)
def test_a_kill_hits_the_server_its_engine_or_the_first_process(
    where: Where, clock: FakeClock, of: str, words: str
) -> None:
    fault = injected(ProcessKill(of=of), where)  # type: ignore[arg-type]
    assert words in proven(fault, clock)
    assert not fault.healed()
    clock.sleep(5)
    assert fault.healed()


def test_a_server_without_such_a_relative_cannot_lose_it(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "related", lambda self, process, of: None)
    with pytest.raises(CannotInject, match="has no engine process"):
        activate(ProcessKill(of="engine"), where).prepare()


def test_a_crash_loop_kills_each_new_process_once_it_is_old_enough(where: Where, clock: FakeClock) -> None:
    fault = injected(ProcessCrashLoop(up_s=2, kills_min=3), where)
    words = proven(fault, clock, looks=200)
    assert "processes 4121, 4123, 4124 are gone, one after the other" in words
    now = where.stack.process("primary")
    fault.after_inverse()
    for _ in range(60):
        clock.sleep(0.25)
    assert fault.healed()
    assert where.stack.process("primary") != now


def test_one_end_is_no_crash_loop(tmp_path: Path, clock: FakeClock) -> None:
    where = where_of(tmp_path, clock, TargetOptions(supervisor="never"))
    assert proven(injected(ProcessCrashLoop(), where), clock) == ""


def test_a_node_takes_everything_on_it_and_nobody_restarts_that_until_it_is_back(
    where: Where, clock: FakeClock
) -> None:
    fault = injected(NodeDown(also=("gateway",)), where)
    words = proven(fault, clock)
    assert "primary is exited" in words and "gateway is exited" in words
    clock.sleep(30)
    assert where.stack.process("primary") is None
    assert fault.lost() is None
    fault.after_inverse()
    assert not fault.healed()
    clock.sleep(5)
    assert fault.healed()


def test_a_node_that_somebody_brought_back_is_a_lost_fault(where: Where, clock: FakeClock) -> None:
    fault = injected(NodeDown(), where)
    where.stack.nodes.bring_back(("primary",), "x")
    clock.sleep(5)
    assert fault.lost() == "primary was started by somebody else"
    where.stack.nodes.take(("primary",), "y")
    with pytest.raises(CannotInject, match="primary is down already"):
        activate(NodeDown(), where).prepare()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (StartPortTaken(), "address already in use"),
        (StartDependencyMissing(), "cannot be fetched from http://127.0.0.1:9"),
        (StartModelMissing(), "exit status 78"),
    ],
)
def test_an_obstacle_is_proven_by_a_start_that_failed_and_healed_by_one_that_serves(
    where: Where, clock: FakeClock, fault: Fault, words: str
) -> None:
    active = activate(fault, where)
    inverse = active.prepare()
    active.apply()
    assert active.proof() is None  # it is being restarted, which proves nothing
    assert words in proven(active, clock)
    assert active.lost() is None
    carry_out(inverse)
    active.after_inverse()
    assert active.proof() is None  # whatever ends it from now on
    clock.sleep(5)
    assert active.healed()
    assert any(where.stack.model_folder("primary").iterdir())


def test_an_emptied_model_folder_is_refilled_by_whoever_finds_the_journal(where: Where) -> None:
    active = activate(StartModelMissing(), where)
    folder = where.stack.model_folder("primary")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    inverse = active.prepare()
    active.apply()
    assert not list(folder.iterdir())
    for _ in range(2):
        carry_out(inverse)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    active.after_inverse()
    (folder / "stray").write_text("")
    assert active.lost() is not None


def test_obstacles_outside_the_runs_folder_are_neither_made_nor_removed(where: Where, tmp_path: Path) -> None:
    root = str(where.run_folder)
    for name, args in {
        "folder.refill": {"folder": "/etc", "aside": root, "root": root},
        "file.mode": {"path": "/etc/passwd", "mode": 0o644, "root": root},
    }.items():
        with pytest.raises(BlastRadiusError):
            carry_out(Inverse(name, args))


def test_unreadable_weights_are_refused_at_the_next_start_and_readable_again_by_the_journal_alone(
    where: Where, clock: FakeClock
) -> None:
    fault = activate(WeightsPermissions(), where)
    inverse = fault.prepare()
    path = where.stack.model_folder("primary") / "model.safetensors"
    mode = path.stat().st_mode
    fault.apply()
    assert path.stat().st_mode & 0o777 == 0
    assert fault.lost() is None
    fault.restart()
    assert "refused: the last process ended with exit status 78" in proven(fault, clock)
    for _ in range(2):
        carry_out(inverse)
        assert path.stat().st_mode == mode
    assert fault.lost() is not None
    path.unlink()
    carry_out(inverse)


def test_a_shared_copy_is_damaged_for_both_and_healed_for_both(tmp_path: Path, clock: FakeClock) -> None:
    where = where_of(tmp_path, clock, TargetOptions(model_copies="shared"))
    assert where.stack.model_folder("primary") == where.stack.model_folder("standby")
    fault = activate(WeightsBitFlip(), where)
    inverse = fault.prepare()
    fault.apply()
    assert "so does standby, from the same copy" in proven(fault, clock)
    assert not fault.healed()
    carry_out(inverse)
    assert fault.healed()


def test_copies_of_their_own_are_damaged_one_by_one(where: Where, clock: FakeClock) -> None:
    assert "standby" not in proven(injected(WeightsBitFlip(), where), clock)


def planned(text: str, capabilities: frozenset[Capability] = frozenset(Capability)) -> None:
    known = replace(facts(FakeStack(FakeClock(0.0))), capabilities=capabilities)
    make_plan(parse_scenario(HEAD + text, "x.yaml"), known, "seed")


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ("{kind: network.partition, how: refuse, direction: to_replica}", "only packets that are dropped have one"),
        ("{kind: network.partition, on: gateway}", "'gateway' is not a replica"),
        ("{kind: network.dns, on: all}", "'all' is not a replica"),
        ("{kind: node.down, also: [toxiproxy]}", "'toxiproxy' is not a replica"),
        ("{kind: network.partition}, {kind: network.latency, at_s: 5}", "one fault would be taken for the other"),
        ("{kind: network.partition}, {kind: network.dns, at_s: 5}", "one fault would be taken for the other"),
        ("{kind: node.down}, {kind: process.kill, at_s: 5}", "both want primary, which one of them keeps down"),
        ("{kind: node.down, on: standby, also: [primary]}, {kind: service.hang, at_s: 5}", "both want primary"),
        ("{kind: weights.nan}, {kind: start.port_taken, at_s: 5}", "both want primary"),
        ("{kind: process.crash_loop}, {kind: service.hang, at_s: 5}", "both want primary"),
        ("{kind: process.crash_loop, kills_min: 1}", "greater than or equal to 2"),
    ],
)
def test_what_could_not_be_shown_is_refused(faults: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        planned(f"faults: [{faults}]\n")


@pytest.mark.parametrize(
    ("fault", "capability"),
    [
        ("{kind: network.partition}", Capability.PARTITION),
        ("{kind: network.dns}", Capability.PARTITION),
        ("{kind: node.down}", Capability.NODES),
        ("{kind: process.kill, of: init}", Capability.KILL_INIT),
        ("{kind: start.port_taken}", Capability.TAKE_PORT),
        ("{kind: weights.permissions}", Capability.FILE_PERMISSIONS),
    ],
)
def test_a_stack_that_cannot_do_it_refuses_it_when_it_is_planned(fault: str, capability: Capability) -> None:
    with pytest.raises(CapabilityError, match=f"needs the capability '{capability}'"):
        planned(f"faults: [{fault}]\n", frozenset(Capability) - {capability})


def test_faults_of_different_replicas_may_be_there_at_once() -> None:
    planned("faults: [{kind: node.down}, {kind: service.hang, on: standby}]\n")
    planned("faults: [{kind: network.partition}, {kind: process.crash_loop, on: standby}]\n")


def test_a_cut_from_all_replicas_costs_every_user_and_a_cut_of_names_none_whose_connections_are_open(
    tmp_path: Path,
) -> None:
    one = verdict_of(tmp_path / "all", f"faults: [{{kind: network.partition, on: all, for_s: 5}}]\n{CALM}")
    assert one.episodes[0].valid, one.episodes[0].invalid_reason
    assert one.episodes[0].lost_requests >= 95  # 20 requests a second for 5 s
    other = verdict_of(tmp_path / "dns", f"faults: [{{kind: network.dns, for_s: 5}}]\n{CALM}")
    assert other.episodes[0].valid, other.episodes[0].invalid_reason
    assert other.episodes[0].lost_requests == 0


def test_every_kind_that_is_new_here_is_in_the_table() -> None:
    assert {"network.partition", "network.dns", "node.down", "process.crash_loop", "weights.permissions"} <= set(FAULTS)
