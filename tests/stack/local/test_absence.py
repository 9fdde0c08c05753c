"""Faults that keep a real process down on the local stack: killed again and again, or unable to start."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from harness.faults.base import ActiveFault, Where
from harness.faults.inverse import carry_out
from harness.faults.table import activate
from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.fault import Fault
from harness.model.process_faults import ProcessCrashLoop, ProcessKill
from harness.model.scenario import TargetOptions
from harness.model.start_faults import StartModelMissing, StartPortTaken
from harness.model.supervision import Supervision

pytestmark = pytest.mark.process

Make = Callable[..., Any]
Eventually = Callable[..., object]
QUICK = TargetOptions(supervision=Supervision(backoff_s=0, port_wait_s=0, max_restarts=50))


def active(running: Any, fault: Fault) -> ActiveFault:
    return activate(fault, Where(running.stack, running.run.run_id, running.run.folder, "seed/1/0"))


def proven(fault: ActiveFault) -> str | None:
    fault.keep()
    proof = fault.proof()
    return None if proof is None else proof.evidence


def test_a_taken_port_keeps_a_replica_from_starting_until_it_is_let_go(
    make_stack: Make, eventually: Eventually
) -> None:
    running = make_stack(QUICK).up_and_ready()
    fault = active(running, StartPortTaken())
    fault.prepare()
    fault.apply()
    words = eventually(lambda: proven(fault))
    assert "primary does not start: exit status 1: " in str(words) and "Address already in use" in str(words)
    assert fault.lost() is None
    fault.after_inverse()
    eventually(fault.healed)


def test_an_empty_model_folder_keeps_a_replica_from_starting_until_the_journal_is_carried_out(
    make_stack: Make, eventually: Eventually
) -> None:
    running = make_stack(QUICK).up_and_ready()
    fault = active(running, StartModelMissing())
    inverse = fault.prepare()
    fault.apply()
    assert "is empty" in str(eventually(lambda: proven(fault)))
    carry_out(inverse)
    fault.after_inverse()
    eventually(fault.healed)


def test_a_shared_copy_is_one_folder_that_both_replicas_serve_from(make_stack: Make, eventually: Eventually) -> None:
    running = make_stack(TargetOptions(model_copies="shared")).up_and_ready()
    (folder,) = running.run.folder.glob("stack/model-*")
    assert {running.stack.model_folder(name) for name in ("primary", "standby")} == {folder}
    running.stack.down()
    assert not folder.exists()


def test_a_killed_engine_leaves_its_server_alone(make_stack: Make, eventually: Eventually) -> None:
    running = make_stack(QUICK, environment={"STUB_ENGINE": "1"}).up_and_ready()
    server = running.stack.process("primary")
    fault = active(running, ProcessKill(of="engine"))
    fault.prepare()
    fault.apply()
    assert f"the engine of the server {server.pid}, is gone; the server lives" in str(eventually(lambda: proven(fault)))
    assert not fault.healed()
    running.stack.signal(server, "SIGKILL")  # as its watchdog would
    eventually(fault.healed)


def test_every_process_of_a_crash_loop_is_killed_and_the_next_one_lives(
    make_stack: Make, eventually: Eventually
) -> None:
    running = make_stack(QUICK).up_and_ready()
    fault = active(running, ProcessCrashLoop(up_s=0.1, kills_min=3))
    fault.prepare()
    fault.apply()
    assert "are gone, one after the other" in str(eventually(lambda: proven(fault)))
    fault.after_inverse()
    eventually(fault.healed)


def test_what_only_containers_can_do_is_refused_in_words(make_stack: Make) -> None:
    stack = make_stack().stack
    assert not {Capability.PARTITION, Capability.NODES, Capability.KILL_INIT} & stack.capabilities
    assert (Capability.FILE_PERMISSIONS in stack.capabilities) == (os.geteuid() != 0)
    for missing in (lambda: stack.partitions, lambda: stack.nodes):
        with pytest.raises(StackError, match="use `--stack compose`"):
            missing()
