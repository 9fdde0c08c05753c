"""Only what a run owns can be hit, and one odd process never saves the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.model.errors import BlastRadiusError
from harness.stack import owned
from harness.stack.owned import RUN_LABEL, ProcessId, identify, kill_owned, owned_processes, process_state, send_signal

pytestmark = pytest.mark.process


@pytest.fixture
def run_id() -> str:
    return f"test-{os.getpid()}-{id(object())}"


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def sleeper(started: list[subprocess.Popen[bytes]], label: str | None) -> ProcessId:
    environ = {**os.environ, **({RUN_LABEL: label} if label else {})}
    code = "import sys, time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    identity = identify(process.pid)
    assert identity is not None
    return identity


def test_a_process_of_the_run_is_found_and_signalled(sleepers: list[subprocess.Popen[bytes]], run_id: str) -> None:
    mine = sleeper(sleepers, run_id)
    assert list(owned_processes(run_id)) == [mine]
    assert send_signal(mine, signal.SIGSTOP, run_id)
    assert send_signal(mine, signal.SIGKILL, run_id)
    sleepers[0].wait()
    assert process_state(mine) is None
    assert not send_signal(mine, signal.SIGKILL, run_id)


@pytest.mark.parametrize("label", [None, "another-run"])
def test_a_foreign_process_is_refused_and_lives(
    sleepers: list[subprocess.Popen[bytes]], run_id: str, label: str | None
) -> None:
    foreign = sleeper(sleepers, label)
    with pytest.raises(BlastRadiusError, match=f"process {foreign.pid} does not belong"):
        send_signal(foreign, signal.SIGKILL, run_id)
    assert sleepers[0].poll() is None


def test_a_later_process_with_the_same_pid_is_left_alone(sleepers: list[subprocess.Popen[bytes]], run_id: str) -> None:
    mine = sleeper(sleepers, run_id)
    assert not send_signal(ProcessId(mine.pid, mine.started - 1), signal.SIGKILL, run_id)
    assert sleepers[0].poll() is None


def test_a_process_whose_memory_has_gone_is_ending_and_no_offence(
    sleepers: list[subprocess.Popen[bytes]], run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = sleeper(sleepers, run_id)
    monkeypatch.setattr(owned, "_environ", lambda pid: b"")
    assert not send_signal(ending, signal.SIGKILL, run_id)


def test_a_program_that_is_being_started_is_not_taken_for_one_that_has_gone(
    sleepers: list[subprocess.Popen[bytes]], run_id: str
) -> None:
    """Its environment is empty for an instant after whoever started it knows of it; more often on busy processors."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        for _ in range(150):
            process = subprocess.Popen(["sleep", "60"], env={**os.environ, RUN_LABEL: "another-run"})
            sleepers.append(process)
            started = identify(process.pid)
            assert started is not None
            with pytest.raises(BlastRadiusError, match="does not belong"):
                send_signal(started, signal.SIGKILL, run_id)
            process.kill()
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_one_process_that_cannot_be_signalled_does_not_keep_the_others_alive(
    sleepers: list[subprocess.Popen[bytes]], run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, *others = (sleeper(sleepers, run_id) for _ in range(3))
    real = owned.send_signal

    def refuse_one(process: ProcessId, signum: signal.Signals, run: str) -> bool:
        if process == odd:
            raise BlastRadiusError("odd")
        return real(process, signum, run)

    monkeypatch.setattr(owned, "send_signal", refuse_one)
    kill_owned(run_id)
    for process in sleepers[1:]:
        process.wait(timeout=5)
    assert sleepers[0].poll() is None
    assert all(process_state(other) is None for other in others)


def test_an_engine_that_outlived_its_server_is_gone_when_the_run_is(run_id: str) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()']).pid, flush=True); input()"
    environ = {**os.environ, RUN_LABEL: run_id}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        orphan = int(server.stdout.readline())
        server.kill()
        server.wait()
        assert [process.pid for process in owned_processes(run_id)] == [orphan]
        assert kill_owned(run_id) == 1
    assert identify(orphan) is None
