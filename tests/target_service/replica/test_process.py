"""A replica's process that is still loading: what needs the process and no model."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]


@contextmanager
def loading(folder: Path, *options: str, **how: Any) -> Iterator[socket.socket]:
    """A connection to a replica that loads for a minute."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "target_service.replica", "--model", str(folder), "--port", str(port)]
    process = subprocess.Popen([*command, "--slow-load-s", "60", *options], cwd=ROOT, **how)
    try:
        give_up_s = time.monotonic() + 30
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=10)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < give_up_s
                time.sleep(0.05)
        with connection:
            yield connection
    finally:
        process.terminate()
        assert process.wait(30) == 0


def status_of(connection: socket.socket, path: str) -> int:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return int(connection.recv(65536).split()[1])


@pytest.mark.parametrize("process", ["child", "same"])
@pytest.mark.parametrize("keepalive_s", ["0.2", "3630"])
def test_an_idle_connection_is_closed_after_the_keep_alive(tmp_path: Path, keepalive_s: str, process: str) -> None:
    with loading(tmp_path, "--keepalive-s", keepalive_s, "--engine-process", process) as connection:
        assert status_of(connection, "/health") == 200
        connection.settimeout(5 if keepalive_s == "0.2" else 1)
        if keepalive_s == "0.2":
            assert connection.recv(1) == b""
        else:
            with pytest.raises(TimeoutError):
                connection.recv(1)


@pytest.mark.parametrize("process", ["child", "same"])
@pytest.mark.parametrize(("options", "status"), [([], 503), (["--early-ready"], 200)])
def test_a_replica_that_loads_is_not_ready_unless_told_to_say_so(
    tmp_path: Path, options: list[str], status: int, process: str
) -> None:
    with loading(tmp_path, "--engine-process", process, *options) as connection:
        assert status_of(connection, "/ready") == status


def lines_dropped(replica: tuple[str, int]) -> float:
    with socket.create_connection(replica, timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    (line,) = [line for line in text.splitlines() if line.startswith("target_log_lines_dropped_total ")]
    return float(line.split()[1])


@pytest.mark.parametrize(("guard", "status"), [("on", 404), ("off", 500)])
def test_a_log_folder_that_cannot_be_written_is_a_matter_for_users_only_without_the_guard(
    tmp_path: Path, guard: str, status: int
) -> None:
    (tmp_path / "file").touch()
    with loading(tmp_path, "--log-dir", str(tmp_path / "file" / "logs"), "--log-guard", guard) as connection:
        assert status_of(connection, "/nothing") == status
        # The line is written, or dropped, by a thread, after the answer.
        give_up_s = time.monotonic() + 10
        while guard == "on" and lines_dropped(connection.getpeername()) == 0:
            assert time.monotonic() < give_up_s
            time.sleep(0.05)


def test_what_was_served_is_in_the_log_when_the_process_has_ended(tmp_path: Path) -> None:
    with loading(tmp_path, "--log-dir", str(tmp_path / "logs")) as connection:
        assert status_of(connection, "/nothing?token=s3cret") == 404
    (line,) = (tmp_path / "logs" / "replica-primary.access.log").read_text().splitlines()
    assert json.loads(line)["path"] == "/nothing"
    assert "s3cret" not in line


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


@pytest.mark.parametrize("guard", ["on", "off"])
def test_a_process_without_file_descriptors_floods_the_log_only_without_the_guard(tmp_path: Path, guard: str) -> None:
    log = tmp_path / "stderr"
    with (
        log.open("wb") as stderr,
        loading(tmp_path, "--log-guard", guard, stderr=stderr, preexec_fn=few_descriptors) as connection,
        ExitStack() as crowd,
    ):
        for _ in range(60):
            crowd.enter_context(socket.create_connection(connection.getpeername(), timeout=10))
        # asyncio looks once a second whether there is a descriptor.
        time.sleep(2.5)
        assert status_of(connection, "/health") == 200
    complaints = log.read_text().count("out of system resource")
    assert complaints <= 40 if guard == "on" else complaints > 100
