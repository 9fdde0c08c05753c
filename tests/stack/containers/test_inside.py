"""The helper that is sent into a container, here beside a server of this host."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.stack.containers import inside
from harness.stack.owned import identify

pytestmark = pytest.mark.process

SERVER = """
import asyncio

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()

async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Process and port."""
    with running(sys.executable, "-c", SERVER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())


def answers(client: socket.socket, wait_s: float) -> bool:
    client.settimeout(wait_s)
    try:
        client.sendall(b"?\n")
        return client.recv(2) == b"?\n"
    except TimeoutError:
        return False


def test_without_descriptors_who_is_connected_is_served_and_nobody_takes_the_place_of_who_leaves(
    server: tuple[int, int], eventually: Callable[..., Any]
) -> None:
    pid, port = server
    started = identify(pid)
    assert started is not None
    stays, leaves = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
    assert answers(stays, 10) and answers(leaves, 10)
    assert len(inside.accepted(pid)) == 2
    command = (sys.executable, "-c", Path(inside.__file__).read_text(), "files", str(pid), str(started.started))
    with running(*command, "60", "0", "-") as helper:
        before = inside.resource.prlimit(pid, inside.resource.RLIMIT_NOFILE)
        eventually(lambda: inside.resource.prlimit(pid, inside.resource.RLIMIT_NOFILE) != before)
        leaves.close()
        eventually(lambda: len(inside.accepted(pid)) == 1)
        with socket.create_connection(("127.0.0.1", port)) as late:
            assert not answers(late, 0.3)
            assert answers(stays, 10)
            helper.send_signal(signal.SIGTERM)
            helper.wait(10)
            assert answers(late, 10), "it is served as soon as there is room"
    assert inside.resource.prlimit(pid, inside.resource.RLIMIT_NOFILE) == before
    stays.close()
