from __future__ import annotations

import io
import queue
from pathlib import Path
from typing import Any

from harness.record.append import AppendLog
from harness.record.clock import FakeClock
from harness.stack.supervision.restart_budget import Change, Guard, listen, parse_change
from harness.stack.supervision.restarter import Restarter
from tests.stack.supervised import Rpc, plan_for, rows


def crash(at_s: float, program: str = "primary", *, expected: bool = False) -> Change:
    return Change(at_s, "target", program, "EXITED", "RUNNING", 7, expected)


def guard(tmp_path: Path, rpc: Any, supervisor: str = "budget", **options: Any) -> Guard:
    """A guard whose restarts happen while it is asked for them."""
    plan, log = plan_for(tmp_path, supervisor, port_wait_s=0, **options), AppendLog(tmp_path / "log")
    restarter = Restarter(plan, rpc, log, FakeClock())
    restarter.run = lambda work: work()
    return Guard(plan, restarter, rpc, log)


def said(tmp_path: Path) -> list[str]:
    return [row["state"] for row in rows(tmp_path / "log")]


def test_an_exit_says_whether_supervisord_expected_its_status() -> None:
    change = parse_change(
        "PROCESS_STATE_EXITED", "processname:p groupname:target from_state:RUNNING expected:0 pid:9", 1.0
    )
    assert change == Change(1.0, "target", "p", "EXITED", "RUNNING", 9, False)


def test_what_is_no_change_of_state_is_none() -> None:
    assert parse_change("TICK_5", "when:1", 1.0) is None


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


def test_a_crash_is_restarted_until_the_budget_is_used_up(tmp_path: Path) -> None:
    rpc = Rpc()
    watch = guard(tmp_path, rpc, max_restarts=2)
    for at_s in (1.0, 2.0, 3.0):
        rpc.started.clear()
        watch.handle(crash(at_s))
    assert rpc.started == []
    assert said(tmp_path) == ["EXITED", "RESTARTING", "EXITED", "BACKING_OFF", "RESTARTING", "EXITED", "GIVEN_UP"]
    assert rows(tmp_path / "log")[-1] | {"at_monotonic_s": 0} == {
        "at_monotonic_s": 0,
        "program": "primary",
        "state": "GIVEN_UP",
        "restarts": 2,
        "per_s": 60.0,
    }


def test_the_end_of_a_dead_engine_with_status_zero_is_a_crash(tmp_path: Path) -> None:
    rpc = Rpc(status=0)
    guard(tmp_path, rpc).handle(crash(1.0, expected=True))
    assert rpc.started == ["target:primary"]


def test_a_status_that_the_scenario_calls_normal_is_not_restarted(tmp_path: Path) -> None:
    rpc = Rpc(status=0)
    guard(tmp_path, rpc, normal_exit_codes=[0]).handle(crash(1.0))
    assert rpc.started == []
    assert rows(tmp_path / "log")[-1]["why"] == "exit status 0 is called a normal exit"


def test_where_supervisord_restarts_only_what_is_unexpected_a_clean_end_stays_down_and_that_is_said(
    tmp_path: Path,
) -> None:
    rpc = Rpc(status=0)
    watch = guard(tmp_path, rpc, "unexpected")
    watch.handle(crash(1.0, expected=True))
    watch.handle(crash(2.0, expected=False))
    assert rpc.started == []
    assert said(tmp_path) == ["EXITED", "NOT_RESTARTED", "EXITED"]


def test_gateway_and_proxy_are_kept_up_whoever_supervises_the_replicas(tmp_path: Path) -> None:
    rpc = Rpc()
    watch = guard(tmp_path, rpc, "never")
    watch.handle(crash(1.0))
    watch.handle(crash(2.0, "gateway"))
    assert rpc.started == ["target:gateway"]
    assert said(tmp_path) == ["EXITED", "NOT_RESTARTED", "EXITED", "RESTARTING"]


def test_a_stop_that_was_asked_for_is_not_restarted(tmp_path: Path) -> None:
    rpc = Rpc()
    guard(tmp_path, rpc).handle(Change(1.0, "target", "primary", "STOPPED", "STOPPING", 7, None))
    assert rpc.started == []


def test_the_listener_does_not_restart_itself(tmp_path: Path) -> None:
    rpc = Rpc()
    guard(tmp_path, rpc).handle(Change(1.0, "restart_budget", "restart_budget", "EXITED", "RUNNING", 7, False))
    assert rpc.started == []


def test_a_process_that_ran_long_is_restarted_without_a_wait(tmp_path: Path) -> None:
    watch = guard(tmp_path, Rpc(), stable_s=10)
    watch.handle(crash(1.0))
    watch.handle(Change(5.0, "target", "primary", "STARTING", "EXITED", None, None))
    watch.handle(crash(15.0))
    assert "BACKING_OFF" not in said(tmp_path)


def test_a_start_is_written_down_with_its_pid(tmp_path: Path) -> None:
    guard(tmp_path, Rpc("RUNNING")).handle(Change(1.0, "target", "primary", "STARTING", "EXITED", None, None))
    assert rows(tmp_path / "log")[0]["pid"] == 4121


def test_a_silent_supervisord_does_not_end_the_listener(tmp_path: Path) -> None:
    watch = guard(tmp_path, Rpc(silent=True))
    watch.handle(Change(1.0, "target", "primary", "STARTING", "EXITED", None, None))
    watch.handle(crash(2.0))
    watch.look()
    watch.catch_up()
    assert said(tmp_path) == ["STARTING", "EXITED"]


def test_a_listener_that_comes_back_restarts_what_the_one_before_left_down(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"program": "primary", "state": "EXITED"}\n')
    rpc = Rpc()
    guard(tmp_path, rpc).catch_up()
    assert "target:primary" in rpc.started


def test_a_listener_that_comes_back_leaves_down_what_the_one_before_had_given_up(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"program": "primary", "state": "GIVEN_UP"}\n')
    rpc = Rpc()
    guard(tmp_path, rpc).catch_up()
    assert "target:primary" not in rpc.started
