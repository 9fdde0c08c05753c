from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.record.append import AppendLog
from harness.record.clock import FakeClock, SystemClock
from harness.stack.supervision.recovery_script import Cron, Host, cron_pass, curl_f, retry_pass
from tests.stack.supervised import Rpc, plan_for, rows


class ScriptedHost(Host):
    """A host whose replica is in turn as `states` says: healthy, or running."""

    def __init__(self, folder: Path, states: list[bool], rpc: Any = None, **options: Any) -> None:
        plan = plan_for(folder, options.pop("supervisor", "cron-script"), **options)
        super().__init__("primary", plan, AppendLog(folder / "log"), FakeClock())
        self._rpc = rpc or Rpc()
        self.states = states
        self.terminated = 0

    def healthy(self) -> bool:
        return self.states.pop(0)

    def running(self) -> bool:
        return self.states.pop(0)

    def terminate(self) -> None:
        self.terminated += 1


def said(folder: Path) -> list[str]:
    return [row["state"] for row in rows(folder / "log")]


def test_the_cron_script_leaves_a_healthy_server_alone(tmp_path: Path) -> None:
    host = ScriptedHost(tmp_path, [True])
    cron_pass(host)
    assert (host.terminated, said(tmp_path)) == (0, [])


def test_the_cron_script_restarts_at_the_first_failure_and_truncates_the_evidence(tmp_path: Path) -> None:
    (tmp_path / "primary.err.log").write_text("why it died")
    host = ScriptedHost(tmp_path, [False])
    cron_pass(host)
    assert host.terminated == 1
    assert host.clock.now() == 1003.0  # its sleep 3
    assert said(tmp_path) == ["RESTARTING", "LOG_TRUNCATED"]
    assert rows(tmp_path / "log")[1]["bytes"] == len("why it died")
    assert (tmp_path / "primary.err.log").read_text() == ""


def test_the_cron_script_starts_a_second_server_beside_one_that_has_not_gone(tmp_path: Path) -> None:
    cron_pass(ScriptedHost(tmp_path, [False], Rpc("RUNNING")))
    assert said(tmp_path)[-1] == "SECOND_INSTANCE"


def test_the_retry_script_takes_running_for_answering(tmp_path: Path) -> None:
    assert retry_pass(ScriptedHost(tmp_path, [True], supervisor="retry-script"))
    assert said(tmp_path) == []


def test_the_retry_script_calls_its_third_restart_failed_without_looking(tmp_path: Path) -> None:
    host = ScriptedHost(tmp_path, [False, False, False, True], supervisor="retry-script")
    assert not retry_pass(host)
    assert said(tmp_path) == ["RESTARTING"] * 3 + ["RECOVERY_FAILED"]
    assert rows(tmp_path / "log")[-1]["but_running"] is True
    assert host.clock.now() == 1015.0


@pytest.mark.process
def test_curl_without_a_time_limit_waits_for_a_server_that_accepts_and_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        plan = plan_for(tmp_path, "cron-script", port=hung.getsockname()[1])
        host = Host("primary", plan, AppendLog(tmp_path / "log"), SystemClock())
        cron = Cron(host, cron_pass)
        for passes in range(3):
            cron.begin()
            while host.checks_under_way() <= passes:
                SystemClock().sleep(0.01)
        SystemClock().sleep(0.3)
        assert host.checks_under_way() == 3
        assert [row["checks"] for row in rows(tmp_path / "log")] == [1, 2]


@pytest.mark.process
@pytest.mark.parametrize(("status", "fine"), [(b"200 OK", True), (b"302 Found", True), (b"503 No", False)])
def test_curl_f_fails_at_400_and_above_and_when_nobody_listens(status: bytes, fine: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert curl_f(port) is fine
        thread.join()
    assert not curl_f(port)
