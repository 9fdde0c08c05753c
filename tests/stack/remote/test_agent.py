"""The agent beside the containers, as a process: whom it signals, and what it does when nobody asks any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.model.errors import BlastRadiusError, StackError
from harness.record.clock import SystemClock
from harness.stack.base import TargetProcess
from harness.stack.owned import RUN_LABEL, identify
from harness.stack.remote.agent import Agent
from harness.stack.remote.agent_client import AgentClient

pytestmark = pytest.mark.process
COMMAND = [sys.executable, "-m", "harness.stack.remote.agent", "r1"]
Make = Callable[..., TargetProcess]


@pytest.fixture
def server() -> Iterator[Make]:
    """A process with a run's label, or with another one's."""
    made: list[subprocess.Popen[bytes]] = []

    def make(run_id: str = "r1") -> TargetProcess:
        process = subprocess.Popen(["sleep", "100"], env={**os.environ, RUN_LABEL: run_id})
        made.append(process)
        found = identify(process.pid)
        assert found is not None
        return TargetProcess("primary", found.pid, found.started)

    yield make
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentClient]:
    with (tmp_path / "log").open("ab") as log:
        client = AgentClient("r1", COMMAND, os.environ, log)
    yield client
    client.close()


def until(seen: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def letter(process: TargetProcess) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_of_the_run_is_found_stopped_continued_and_ended(agent: AgentClient, server: Make) -> None:
    process = server()
    assert agent.server("primary", process.pid) == process
    assert agent.related(process, "init", process.pid) == process
    assert agent.related(process, "engine", 0) is None
    assert agent.send(process, "SIGSTOP")
    until(lambda: agent.state(process) == "stopped")
    assert agent.send(process, "SIGCONT")
    until(lambda: agent.state(process) == "running")
    assert agent.send(process, "SIGKILL")
    until(lambda: agent.state(process) == "gone")
    assert not agent.send(process, "SIGKILL")
    assert agent.server("primary", process.pid) is None


def test_a_process_of_another_run_is_never_signalled(agent: AgentClient, server: Make) -> None:
    process = server("r2")
    with pytest.raises(BlastRadiusError, match="does not belong to run r1"):
        agent.send(process, "SIGKILL")
    assert agent.state(process) == "running"


def test_when_whoever_asked_has_gone_what_it_stopped_goes_on(agent: AgentClient, server: Make) -> None:
    process = server()
    agent.send(process, "SIGSTOP")
    until(lambda: letter(process) == "T")
    agent.close()
    until(lambda: letter(process) == "S")


def test_what_was_stopped_goes_on_when_the_agent_is_told_to_let_go(server: Make) -> None:
    process = server()
    here = Agent("r1", SystemClock())
    asked = {"ask": "signal", "args": [process.pid, process.started, "SIGSTOP"]}
    assert here.answer(json.dumps(asked).encode()) == {"said": True}
    until(lambda: letter(process) == "T")
    here.let_go()
    until(lambda: letter(process) == "S")


def test_another_agent_continues_a_process_by_order_when_the_first_was_killed(server: Make) -> None:
    process = server()
    os.kill(process.pid, 19)
    until(lambda: letter(process) == "T")
    done = subprocess.run([*COMMAND, "continue", str(process.pid), str(process.started)], check=False)
    assert done.returncode == 0
    until(lambda: letter(process) == "S")


def test_a_question_that_it_does_not_know_is_refused_in_words() -> None:
    assert "does not understand" in Agent("r1", SystemClock()).answer(b"[]\n")["refused"]
    assert "does not understand" in Agent("r1", SystemClock()).answer(b'{"ask": "rm", "args": []}')["refused"]


def test_both_clocks_of_one_host_are_the_same_within_the_error(agent: AgentClient) -> None:
    found = agent.offset(SystemClock())
    assert abs(found.monotonic_s) <= found.error_s < 0.5


def test_an_agent_that_has_gone_is_an_error_in_words_at_every_question(agent: AgentClient, server: Make) -> None:
    process = server()
    agent.close()
    for _ in range(2):
        with pytest.raises(StackError, match="does not answer any more"):
            agent.state(process)


def test_an_agent_that_cannot_be_started_is_an_error_in_words(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log, pytest.raises(StackError, match="does not answer"):
        AgentClient("r1", ["false"], os.environ, log)
