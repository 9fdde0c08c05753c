from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from harness.record.append import AppendLog
from harness.record.clock import FakeClock
from harness.stack.supervision.restart_policy import Decision
from harness.stack.supervision.restarter import Restarter
from tests.stack.supervised import Rpc, plan_for, rows


def restarter(tmp_path: Path, rpc: Any, **options: Any) -> Restarter:
    made = Restarter(plan_for(tmp_path, **options), rpc, AppendLog(tmp_path / "log"), FakeClock())
    made.run = lambda work: work()
    return made


def test_a_wait_is_written_down_before_and_the_restart_after_it(tmp_path: Path) -> None:
    rpc = Rpc()
    restarter(tmp_path, rpc, port_wait_s=0).order("primary", Decision("restart", 2.5, 2))
    waited, restarted = rows(tmp_path / "log")
    assert (waited["state"], waited["delay_s"], waited["at_monotonic_s"]) == ("BACKING_OFF", 2.5, 1000.0)
    assert (restarted["state"], restarted["restarts"], restarted["at_monotonic_s"]) == ("RESTARTING", 2, 1002.5)
    assert rpc.started == ["target:primary"]


def test_what_somebody_else_has_started_meanwhile_is_left_alone(tmp_path: Path) -> None:
    rpc = Rpc("RUNNING")
    restarter(tmp_path, rpc).order("primary", Decision("restart"))
    assert rows(tmp_path / "log") == []


def test_a_port_that_stays_taken_is_waited_for_up_to_the_limit_and_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, rpc = taken.getsockname()[1], Rpc()
        restarter(tmp_path, rpc, port=port, port_wait_s=4).order("primary", Decision("restart", 0.0, 1))
    busy, restarted = rows(tmp_path / "log")
    assert (busy["state"], busy["port"], busy["waited_s"]) == ("PORT_BUSY", port, 4.0)
    assert restarted["state"] == "RESTARTING"
    assert restarted["at_monotonic_s"] >= 1004.0


def test_without_the_wait_the_port_is_not_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = restarter(tmp_path, Rpc(), port=taken.getsockname()[1], port_wait_s=0)
        made.order("primary", Decision("restart", 0.0, 1))
    assert [row["state"] for row in rows(tmp_path / "log")] == ["RESTARTING"]
