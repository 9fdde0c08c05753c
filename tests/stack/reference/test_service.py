"""Fault endpoints and start options of real processes: who may use them, and how they are taken back."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.faults.base import CannotInject, Proof, Where
from harness.faults.inverse import carry_out
from harness.faults.table import activate
from harness.model.errors import BlastRadiusError, StackError
from harness.model.service_faults import ServiceKillEngine
from harness.record.journal import Inverse, Journal, pending
from harness.stack.base import TargetProcess
from harness.stack.links import Ask
from harness.stack.owned import ProcessId, process_state
from harness.stack.reference.settings import private_files
from tests.stack.conftest import Running, eventually

pytestmark = pytest.mark.process

UNDO = "import sys; from harness.faults.inverse import carry_out; from harness.record.journal import undo_all; "
UNDO += "from pathlib import Path; sys.exit('; '.join(undo_all(Path(sys.argv[1]), carry_out)) or None)"


@pytest.fixture
def running(make_stack: Callable[..., Running]) -> Running:
    return make_stack().up_and_ready()


def primary(running: Running) -> TargetProcess:
    found = running.stack.process("primary")
    assert found is not None
    return found


def test_a_fault_begins_and_ends_and_ending_it_twice_does_no_harm(running: Running) -> None:
    service, victim = running.stack.service, primary(running)
    service.begin(victim, "hang", {})
    assert service.has(victim, "hang")
    standby = running.stack.process("standby")
    assert standby is not None and not service.has(standby, "hang")
    for _ in range(2):
        service.end(victim, "hang")
        assert not service.has(victim, "hang")


def test_another_process_can_end_it_from_the_journal_which_holds_no_token(running: Running, tmp_path: Path) -> None:
    service, victim = running.stack.service, primary(running)
    journal = Journal(tmp_path / "undo.jsonl")
    journal.intend(service.inverse(victim, "leak_slots"))
    journal.close()
    service.begin(victim, "leak_slots", {"slots": 16})
    token = private_files(running.run.folder.resolve() / "stack").token.read_text()
    assert token not in (tmp_path / "undo.jsonl").read_text()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", UNDO, str(tmp_path / "undo.jsonl")], check=True, timeout=60)
        assert not service.has(victim, "leak_slots")
        assert pending(tmp_path / "undo.jsonl") == []


def test_a_restart_heals_as_well_and_the_next_process_is_left_alone(running: Running) -> None:
    service, victim = running.stack.service, primary(running)
    inverse = service.inverse(victim, "hang")
    service.begin(victim, "hang", {})
    running.stack.signal(victim, "SIGKILL")
    eventually(lambda: running.stack.process("primary") not in (None, victim))
    eventually(lambda: running.stack.ready() is None)
    now = primary(running)
    service.begin(now, "hang", {})  # another one's, later
    carry_out(inverse)
    assert service.has(now, "hang")
    assert service.usage(victim) is None
    assert not service.has(victim, "hang")
    service.end(victim, "hang")
    assert service.has(now, "hang")


def test_a_replica_that_cannot_be_told_is_ended_since_its_supervisor_replaces_it(running: Running) -> None:
    service, victim = running.stack.service, primary(running)
    inverse = service.inverse(victim, "hang")
    service.begin(victim, "hang", {})
    running.stack.signal(victim, "SIGSTOP")
    carry_out(inverse)
    eventually(lambda: process_state(ProcessId(victim.pid, victim.started)) in (None, "Z"))
    eventually(lambda: running.stack.ready() is None)


def test_a_silent_process_of_somebody_else_is_not_ended(running: Running, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    inverse = running.stack.service.inverse(primary(running), "hang")
    command = [sys.executable, "-c", "print(flush=True); input()"]
    stranger = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        # Until it runs its environment cannot be read, and nobody is taken for a stranger who may be about to end.
        assert stranger.stdout is not None and stranger.stdout.readline()
        ticks = int(Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19])
        args = {**inverse.args, "pid": stranger.pid, "started": ticks, "port": 9}
        with pytest.raises(BlastRadiusError):
            carry_out(Inverse("service.end", args))
        assert stranger.poll() is None
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.communicate()


def test_a_wrong_token_opens_nothing_and_is_said_in_a_sentence(running: Running) -> None:
    private_files(running.run.folder.resolve() / "stack").token.write_text("guessed")
    with pytest.raises(StackError, match="refused with status 403: X-Fault-Token is missing or wrong"):
        running.stack.service.begin(primary(running), "hang", {})
    with pytest.raises(StackError, match="status 403"):
        running.stack.service.end(primary(running), "hang")


def test_the_token_is_of_this_run_alone_and_nobody_else_can_read_it(make_stack: Callable[..., Running]) -> None:
    tokens = []
    for _ in range(2):
        running = make_stack().up()
        files = private_files(running.run.folder.resolve() / "stack")
        tokens.append(files.token.read_text())
        assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()} == {0o600}
        everything = [path for path in running.run.folder.rglob("*") if path.is_file() and path != files.token]
        assert not [path for path in everything if tokens[-1].encode() in path.read_bytes()]
        running.stack.down()
        assert not files.folder.exists()
    assert tokens[0] != tokens[1]
    assert len(tokens[0]) == 64


def test_start_options_hold_for_every_start_until_they_are_taken_back(running: Running) -> None:
    service = running.stack.service
    inverse = service.start_inverse("primary")
    service.start_with("primary", ("--slow-load-s", "30"))
    assert service.starts_with("primary") == ("--slow-load-s", "30")
    for _ in range(2):
        before = primary(running)
        running.stack.restart("primary")
        eventually(lambda before=before: running.stack.process("primary") not in (None, before))
        eventually(lambda: _page(running, "/ready") == 503)
    for _ in range(2):
        carry_out(inverse)
        assert service.starts_with("primary") == ()
    running.stack.restart("primary")
    eventually(lambda: _page(running, "/ready") == 200)


def test_start_options_outside_the_runs_folder_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    outside = tmp_path / "options"
    outside.write_text("--early-ready\n")
    args: dict[str, Any] = {"path": str(outside), "root": str(tmp_path / "run")}
    with pytest.raises(BlastRadiusError, match="outside the run's folder"):
        carry_out(Inverse("service.start_as_before", args))
    assert outside.read_text()
    carry_out(Inverse("service.start_as_before", {**args, "path": str(tmp_path / "run" / "gone")}))


def test_a_target_without_fault_endpoints_lacks_the_capability(make_stack: Callable[..., Running]) -> None:
    assert "service_faults" in make_stack().stack.capabilities
    assert "service_faults" not in make_stack(service_faults=False).stack.capabilities


def test_a_killed_engine_is_seen_in_the_processes_of_its_server(make_stack: Callable[..., Running]) -> None:
    running = make_stack(environment={"STUB_ENGINE": "1"}).up_and_ready()
    fault = activate(ServiceKillEngine(), Where(running.stack, running.run.run_id, running.run.folder, "seed/1/0"))
    assert fault.prepare().name == "nothing"
    fault.apply()
    proof = eventually(fault.proof)
    assert isinstance(proof, Proof)
    assert f"a child of the server {primary(running).pid}, is gone; the server lives" in proof.evidence
    eventually(fault.healed)


def test_an_engine_that_is_a_thread_cannot_be_killed_alone(running: Running) -> None:
    fault = activate(ServiceKillEngine(), Where(running.stack, running.run.run_id, running.run.folder, "seed/1/0"))
    with pytest.raises(CannotInject, match="the engine of primary has no process of its own"):
        fault.prepare()


def _page(running: Running, page: str) -> int | None:
    look = running.stack.service.look("primary", Ask(page=page))
    seen = eventually(look.seen)
    return getattr(seen, "status", None)


def test_a_live_process_has_an_age_and_memory(running: Running) -> None:
    usage = running.stack.service.usage(primary(running))
    assert usage is not None
    assert usage.resident_mb > 1
    assert usage.age_s >= 0
    assert os.getpid() != primary(running).pid
    assert running.stack.service.spare_mb() > 0
