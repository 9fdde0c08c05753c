"""Containers of somebody else: who is hit, what ends a pause by itself, what is never touched. No engine is asked."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness.model.errors import BlastRadiusError
from harness.record.clock import SystemClock
from harness.stack.external.foreign_engine import helper_script, names_of
from harness.stack.external.opted_in import continue_in_container, signal_in_container
from harness.stack.owned import ProcessId, identify

CLOCK = SystemClock()


@pytest.mark.parametrize(
    ("labels", "names"), [(["llm", "web"], ["llm", "web"]), (["llm", "llm", "llm"], ["llm", "llm-2", "llm-3"])]
)
def test_containers_that_opted_in_by_one_name_can_be_told_apart(labels: list[str], names: list[str]) -> None:
    assert names_of(labels) == names


def test_a_process_outside_the_container_is_never_signalled() -> None:
    me = identify(os.getpid())
    assert me is not None
    with pytest.raises(BlastRadiusError, match="does not belong to container 0123456789ab"):
        signal_in_container(me, signal.SIGTERM, "0123456789abcdef")
    # As an inverse that is no error: the pid is somebody else's by now, and the container has gone.
    continue_in_container({"pid": me.pid, "started": me.started, "container": "0123456789abcdef"})


def test_a_process_that_has_gone_is_no_error() -> None:
    assert not signal_in_container(ProcessId(2**22 - 1, 1), signal.SIGCONT, "0123456789abcdef")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.process
@pytest.mark.parametrize(("same", "after"), [(True, "S"), (False, "T")])
def test_the_helper_continues_that_very_process_and_no_later_one_with_its_pid(same: bool, after: str) -> None:
    stopped = subprocess.Popen(["sleep", "30"])
    try:
        end_s = CLOCK.now() + 5
        while state_of(stopped.pid) != "S" and CLOCK.now() < end_s:
            CLOCK.sleep(0.01)
        found = identify(stopped.pid)
        assert found is not None
        stopped.send_signal(signal.SIGSTOP)
        process = found if same else ProcessId(found.pid, found.started + 1)
        subprocess.run(["sh", "-c", helper_script(process, 0.1)], check=True)
        CLOCK.sleep(0.05)
        assert state_of(stopped.pid) == after
    finally:
        stopped.kill()
        stopped.wait()
