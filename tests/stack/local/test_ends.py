from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import BlastRadiusError, StackError
from harness.record.clock import SystemClock
from harness.stack.base import RunContext, TargetProcess
from harness.stack.local import stack as local
from harness.stack.local.stack import LocalStack
from harness.stack.owned import identify, owned_processes
from harness.stack.ports import HeldPorts
from harness.stack.reference.settings import LocalSettings

Eventually = Callable[..., Any]
process_test = pytest.mark.process


@process_test
def test_a_process_that_is_not_of_this_run_is_never_signalled(make_stack: Callable[..., Any]) -> None:
    running = make_stack().up_and_ready()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as foreign:
        identity = identify(foreign.pid)
        assert identity is not None
        with pytest.raises(BlastRadiusError, match="does not belong to run"):
            running.stack.signal(TargetProcess("primary", identity.pid, identity.started), "SIGKILL")
        assert foreign.poll() is None
        foreign.kill()


@process_test
def test_nothing_is_left_after_down_and_down_again_is_harmless(make_stack: Callable[..., Any]) -> None:
    running = make_stack().up_and_ready()
    sockets = running.stack._up.rpc._path.parent
    running.stack.signal(running.stack.process("standby"), "SIGSTOP")
    begin_s = running.clock.now()
    running.stack.down()
    assert running.clock.now() - begin_s < 5
    assert list(owned_processes(running.run.run_id)) == []
    assert not sockets.exists()
    running.stack.down()


@process_test
def test_down_right_after_up_leaves_nothing(make_stack: Callable[..., Any]) -> None:
    running = make_stack().up()
    running.stack.down()
    assert list(owned_processes(running.run.run_id)) == []


@process_test
def test_down_finds_the_orphans_of_a_supervisor_that_was_killed(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    running.stack._up._process.kill()
    eventually(running.stack._up.died)
    assert list(owned_processes(running.run.run_id))
    with pytest.raises(StackError, match="supervisord ended"):
        running.stack.ready()
    with pytest.raises(StackError, match="does not answer"):
        running.stack.process("primary")
    running.stack.down()
    assert list(owned_processes(running.run.run_id)) == []


@process_test
def test_a_stolen_port_is_left_to_the_thief_and_others_are_used(
    make_stack: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    thieves: list[Any] = []
    monkeypatch.setattr(local, "HeldPorts", steal(thieves, times=1))
    running = make_stack().up_and_ready()
    assert running.stack._ports.replicas["primary"] != thieves[0].getsockname()[1]
    thieves[0].close()


@process_test
def test_a_port_stolen_twice_is_one_clear_error(
    make_stack: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    thieves: list[Any] = []
    monkeypatch.setattr(local, "HeldPorts", steal(thieves, times=2))
    running = make_stack().up()
    try:
        with pytest.raises(StackError, match=r"port \d+ of primary was taken by another process"):
            eventually(lambda: running.stack.ready() is None)
    finally:
        for thief in thieves:
            thief.close()


def steal(thieves: list[Any], times: int) -> type:
    """HeldPorts whose first port is taken by somebody else the moment it is released."""

    class Stolen(HeldPorts):
        def release(self) -> None:
            super().release()
            if len(thieves) < times:
                thieves.append(socket.create_server(("127.0.0.1", self.ports[0])))

    return Stolen


@process_test
def test_up_that_fails_half_way_cleans_up_after_itself(stub_model: Path, tmp_path: Path) -> None:
    stack = LocalStack(stub_model, LocalSettings(required_modules=(), replica_command=("no such\nprogram",)))
    run = RunContext("test-broken", tmp_path / "run", SystemClock().now())
    with pytest.raises(StackError, match="avoid line breaks"):
        stack.up(run)
    assert not stack.model_folder("primary").exists()
    assert list(owned_processes("test-broken")) == []
