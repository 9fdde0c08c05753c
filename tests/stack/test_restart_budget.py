from __future__ import annotations

import io
import json
import queue
from pathlib import Path
from typing import Any

from harness.record.append import AppendLog
from harness.record.clock import FakeClock
from harness.stack.restart_budget import Change, Guard, RestartBudget, listen, parse_change
from harness.stack.supervisor_rpc import ProgramState, SupervisorSilent


def crash(at_s: float, program: str = "primary", state: str = "EXITED") -> Change:
    return Change(at_s, "target", program, state, "RUNNING", 7, False)


class Rpc:
    """Answers as supervisord would: the program cannot be stopped for the first `busy` calls."""

    def __init__(self, busy: int = 0, silent: bool = False) -> None:
        self.busy = busy
        self.silent = silent
        self.stopped: list[str] = []

    def state(self, name: str) -> ProgramState:
        if self.silent:
            raise SupervisorSilent("gone")
        return ProgramState(name, "STOPPED" if name in self.stopped else "STARTING", 4121)

    def call(self, method: str, name: str, wait: bool) -> None:
        assert (method, wait) == ("stopProcess", False)
        self.busy -= 1
        if self.busy < 0:
            self.stopped.append(name)


def guard(tmp_path: Path, rpc: Any, limit: int = 1) -> Guard:
    return Guard(RestartBudget(limit, 60.0), rpc, AppendLog(tmp_path / "log"), FakeClock())


def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def test_the_exit_after_the_budget_is_over_it() -> None:
    budget = RestartBudget(2, 60.0)
    assert [budget.exited("primary", at_s) for at_s in (0.0, 1.0, 2.0)] == [False, False, True]


def test_exits_leave_the_window_when_they_are_as_old_as_it_is_long() -> None:
    budget = RestartBudget(1, 10.0)
    assert [budget.exited("primary", at_s) for at_s in (0.0, 10.0, 19.9)] == [False, False, True]


def test_each_program_has_a_budget_of_its_own() -> None:
    budget = RestartBudget(1, 60.0)
    assert not budget.exited("primary", 0.0)
    assert not budget.exited("standby", 0.0)
    assert budget.exited("primary", 1.0)


def test_an_exit_of_status_zero_of_a_server_is_a_crash() -> None:
    change = parse_change(
        "PROCESS_STATE_EXITED", "processname:p groupname:target from_state:RUNNING expected:0 pid:9", 1.0
    )
    assert change == Change(1.0, "target", "p", "EXITED", "RUNNING", 9, False)
    assert change.is_crash


def test_a_stop_that_was_asked_for_is_no_crash() -> None:
    change = parse_change("PROCESS_STATE_STOPPED", "processname:p groupname:target from_state:STOPPING pid:9", 1.0)
    assert change is not None
    assert not change.is_crash


def test_each_event_is_acknowledged_and_passed_on() -> None:
    payload = b"processname:primary groupname:target from_state:STARTING tries:1"
    header = b"ver:3.0 server:x serial:1 pool:x poolserial:1 eventname:PROCESS_STATE_BACKOFF len:%d\n" % len(payload)
    out, changes = io.BytesIO(), queue.SimpleQueue[Change | None]()
    listen(io.BytesIO(header + payload), out, changes, FakeClock(5.0))
    assert out.getvalue() == b"READY\nRESULT 2\nOKREADY\n"
    assert changes.get() == Change(5.0, "target", "primary", "BACKOFF", "STARTING", None, None)
    assert changes.get() is None


def test_events_of_other_kinds_are_acknowledged_and_dropped() -> None:
    out, changes = io.BytesIO(), queue.SimpleQueue[Change | None]()
    listen(io.BytesIO(b"eventname:TICK_5 len:6\nwhen:1"), out, changes, FakeClock())
    assert out.getvalue() == b"READY\nRESULT 2\nOKREADY\n"
    assert changes.get() is None


def test_a_program_over_budget_is_stopped_as_soon_as_supervisord_allows_it(tmp_path: Path) -> None:
    rpc = Rpc(busy=3)
    watch = guard(tmp_path, rpc)
    watch.handle(crash(1.0))
    assert rpc.stopped == []
    watch.handle(crash(2.0, state="BACKOFF"))
    assert rpc.stopped == ["target:primary"]
    assert [(row["state"], row.get("stopped")) for row in rows(tmp_path)] == [
        ("EXITED", None),
        ("BACKOFF", None),
        ("GIVEN_UP", True),
    ]


def test_the_listener_does_not_stop_itself(tmp_path: Path) -> None:
    rpc = Rpc()
    watch = guard(tmp_path, rpc, limit=0)
    watch.handle(Change(1.0, "restart_budget", "restart_budget", "EXITED", "RUNNING", 7, False))
    assert rpc.stopped == []


def test_a_start_is_written_down_with_its_pid(tmp_path: Path) -> None:
    watch = guard(tmp_path, Rpc())
    watch.handle(Change(1.0, "target", "primary", "STARTING", "EXITED", None, None))
    assert rows(tmp_path)[0]["pid"] == 4121


def test_a_silent_supervisord_does_not_end_the_listener(tmp_path: Path) -> None:
    watch = guard(tmp_path, Rpc(silent=True), limit=0)
    watch.handle(Change(1.0, "target", "primary", "STARTING", "EXITED", None, None))
    watch.handle(crash(2.0))
    assert [row.get("stopped") for row in rows(tmp_path)] == [None, None, False]
