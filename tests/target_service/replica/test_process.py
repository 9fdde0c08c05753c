"""A replica's process that is still loading: what needs the process and no model."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]


@contextmanager
def loading(folder: Path, *options: str) -> Iterator[socket.socket]:
    """A connection to a replica that loads for a minute."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "target_service.replica", "--model", str(folder), "--port", str(port)]
    process = subprocess.Popen([*command, "--slow-load-s", "60", *options], cwd=ROOT)
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
