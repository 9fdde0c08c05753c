"""Every fault bites, proves itself and is healed; what cannot be proven is never passed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.faults.base import ActiveFault, CannotInject, Where
from harness.faults.inverse import INVERSES, carry_out, sha256_of
from harness.faults.process import KillProcess
from harness.faults.table import DOERS, activate
from harness.faults.weights import FlipBits
from harness.model.errors import BlastRadiusError, HarnessError
from harness.model.faults import FAULTS, WeightsBitFlip, WeightsMissing, WeightsTruncate
from harness.record.clock import FakeClock
from harness.record.journal import Inverse, pending
from harness.stack.base import RunContext, Weights
from harness.stack.fake.stack import PRISTINE, FakeStack
from tests.fake_run import HEAD, run_fake, verdict_of

pytestmark = pytest.mark.whole


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_has_parameters_a_doer_and_words(kind: str) -> None:
    assert issubclass(DOERS[kind], ActiveFault)
    assert FAULTS[kind].__doc__
    assert DOERS[kind].__doc__
    assert set(DOERS) == set(FAULTS)
    assert FAULTS[kind]().kind == kind


# The fake stack holds nothing that a command could act on: see test_exec.py.
@pytest.mark.parametrize("kind", sorted(set(FAULTS) - {"exec"}))
def test_every_fault_makes_a_proven_and_valid_episode_and_is_healed(tmp_path: Path, kind: str) -> None:
    head = HEAD.replace("{chat: 1}", "{chat_stream: 1}")
    if kind == "service.stale_cache":
        head += "target: {replica: {cache_size: 64, cache_ttl_s: 2}}\n"
    folder = run_fake(
        tmp_path, head=head, text=f"faults:\n  - {{kind: {kind}}}\nobserve:\n  lost_requests: {{max: 1000}}\n"
    )
    from harness.analysis.judge import judge

    verdict = judge(folder.read())
    (episode,) = verdict.episodes
    assert episode.proven, episode.proof
    assert episode.valid, episode.invalid_reason
    assert verdict.outcome == "pass", verdict.reason
    assert pending(folder.undo) == []
    assert not (folder.path / "undo").exists()


@pytest.fixture
def where(tmp_path: Path) -> Where:
    stack = FakeStack(FakeClock(0.0))
    stack.up(RunContext("run", tmp_path, 0.0))
    return Where(stack, "run", tmp_path, "seed/1/0")


def weights_of(where: Where) -> Path:
    return where.stack.model_folder("primary") / "model.safetensors"


@pytest.mark.parametrize(
    "fault", [WeightsBitFlip(bits=5), WeightsTruncate(), WeightsMissing(), WeightsTruncate(keep_ratio=1)]
)
def test_a_weights_fault_alters_the_file_the_same_way_each_time_and_its_inverse_restores_it(
    where: Where, fault: WeightsBitFlip
) -> None:
    path, damaged = weights_of(where), []
    for _ in range(2):
        active = activate(fault, where)
        inverse = active.prepare()
        assert path.read_bytes() == PRISTINE
        active.apply()
        damaged.append(path.read_bytes() if path.exists() else None)
        carry_out(inverse)
        assert path.read_bytes() == PRISTINE
        carry_out(inverse)
    assert damaged[0] == damaged[1] != PRISTINE


def test_flipped_bits_leave_the_header_readable_and_another_seed_flips_others(where: Where) -> None:
    FlipBits(WeightsBitFlip(bits=50), where).prepare()
    found = []
    for seed in ("a", "b"):
        fault = FlipBits(WeightsBitFlip(bits=50), Where(where.stack, "run", where.run_folder, seed))
        inverse = fault.prepare()
        fault.apply()
        found.append(weights_of(where).read_bytes())
        carry_out(inverse)
    assert found[0] != found[1]
    assert all(data[:16] == PRISTINE[:16] and len(data) == len(PRISTINE) for data in found)


def test_a_file_is_restored_in_place_since_a_process_may_have_it_mapped(where: Where) -> None:
    path = weights_of(where)
    fault = activate(WeightsBitFlip(), where)
    inverse = fault.prepare()
    inode = path.stat().st_ino
    fault.apply()
    carry_out(inverse)
    assert path.stat().st_ino == inode
    assert sha256_of(path) == inverse.args["sha256"]


def test_nothing_outside_the_runs_folder_is_damaged_or_restored(
    where: Where, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "model.safetensors"
    outside.write_bytes(PRISTINE)
    weights_of(where).unlink()
    weights_of(where).symlink_to(outside)
    with pytest.raises(CannotInject, match="own copy"):
        activate(WeightsBitFlip(), where).prepare()
    args = {"path": str(weights_of(where)), "snapshot": str(outside), "sha256": "x", "root": str(where.run_folder)}
    with pytest.raises(BlastRadiusError):
        carry_out(Inverse("file.restore", args))
    assert outside.read_bytes() == PRISTINE


def test_an_inverse_of_another_version_is_an_error_and_not_a_guess() -> None:
    assert "file.restore" in INVERSES
    with pytest.raises(HarnessError, match="another version"):
        carry_out(Inverse("no.such", {}))


def test_a_restart_that_is_still_under_way_does_not_prove_that_damage_was_refused(where: Where) -> None:
    fault = activate(WeightsMissing(), where)
    fault.prepare()
    fault.apply()
    where.stack.restart("primary")
    assert where.stack.held_weights("primary") == Weights(None, "no process: exit status 0", last_exit="exit status 0")
    assert fault.proof() is None


@pytest.mark.parametrize(
    ("last_exit", "proven"),
    [
        ("exit status 78", True),  # the first that met the damage; another one is being tried meanwhile
        ("exit status 0", False),  # by our restart, all that ended so far
        ("terminated by SIGKILL", False),  # says nothing about the file
        (None, False),
    ],
)
def test_who_is_started_again_and_again_proves_the_damage_by_how_the_last_process_ended(
    where: Where, monkeypatch: pytest.MonkeyPatch, last_exit: str | None, proven: bool
) -> None:
    fault = activate(WeightsMissing(), where)
    fault.prepare()
    fault.apply()
    where.stack.restart("primary")
    tried_again = Weights(None, "process 4121 holds no mapped file and does not answer", last_exit=last_exit)
    monkeypatch.setattr(where.stack, "held_weights", lambda _: tried_again)
    assert (fault.proof() is not None) == proven


def test_an_end_from_before_the_fault_does_not_prove_that_damage_was_refused(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = activate(WeightsMissing(), where)
    fault.prepare()
    fault.apply()
    earlier = Weights(None, "process 4121 does not answer", last_exit="exit status 78")
    monkeypatch.setattr(where.stack, "held_weights", lambda _: earlier)
    assert fault.proof() is None


def test_an_end_that_a_look_finds_is_told_from_our_restart_that_comes_during_the_look(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = activate(WeightsMissing(), where)
    fault.prepare()
    fault.apply()
    ends = iter([None, "exit status 0"])  # the process from before ends while the look is under way
    earlier = Weights(None, "process 4121 does not answer", last_exit="exit status 70")
    monkeypatch.setattr(where.stack, "exit_report", lambda _: next(ends))
    monkeypatch.setattr(where.stack, "held_weights", lambda _: (where.stack.exit_report(fault.before), earlier)[1])
    assert fault.proof() is None


def test_an_unproven_fault_makes_the_verdict_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KillProcess, "proof", lambda self: None)
    verdict = verdict_of(tmp_path, "faults:\n  - {kind: process.kill}\nobserve:\n  lost_requests: {max: 1000}\n")
    assert verdict.outcome == "inconclusive"
    assert "no evidence" in verdict.episodes[0].invalid_reason


def test_a_fault_on_an_idle_replica_makes_the_verdict_inconclusive(tmp_path: Path) -> None:
    text = "faults:\n  - {kind: process.kill, on: standby}\nobserve:\n  lost_requests: {max: 1000}\n"
    verdict = verdict_of(tmp_path, text)
    assert verdict.outcome == "inconclusive"
    assert "no request reached standby" in verdict.reason


def test_a_second_fault_on_the_replica_that_took_over_counts_as_reached(tmp_path: Path) -> None:
    text = "faults:\n  - {kind: process.pause, for_s: 8}\n  - {kind: process.kill, on: standby, at_s: 4}\n"
    verdict = verdict_of(tmp_path, text)
    assert verdict.episodes[0].valid, verdict.episodes[0].invalid_reason


def test_a_proof_that_breaks_does_not_keep_the_fault_from_being_healed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(self: object) -> None:
        calls.append(1)
        raise OSError("no such file")

    monkeypatch.setattr(FlipBits, "proof", broken)
    verdict = verdict_of(tmp_path, "faults:\n  - {kind: weights.bit_flip}\n")
    assert verdict.outcome == "inconclusive"
    assert "no such file" in verdict.reason
    assert len(calls) == 2
    assert pending(tmp_path / "run" / "undo.jsonl") == []
    assert (tmp_path / "run/stack/primary/model/model.safetensors").read_bytes() == PRISTINE


def test_a_fault_that_cannot_be_applied_is_taken_back_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: FlipBits) -> None:
        os.truncate(self.path, 20)
        raise OSError("disk")

    monkeypatch.setattr(FlipBits, "apply", half)
    verdict = verdict_of(tmp_path, "faults:\n  - {kind: weights.bit_flip}\nobserve:\n  wrong_answers: {max: 0}\n")
    assert "not injected: disk" in verdict.episodes[0].proof
    assert (tmp_path / "run/stack/primary/model/model.safetensors").read_bytes() == PRISTINE
