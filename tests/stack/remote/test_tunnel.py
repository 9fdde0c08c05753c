"""A tunnel carries connections as they are: data, ends, resets and refusals, with its far end as a process here."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.stack.remote.tunnel import Frame, Mux
from harness.stack.remote.tunnel_client import TunnelClient

pytestmark = pytest.mark.process
FAR_END = [sys.executable, "-m", "harness.stack.remote.tunnel"]
Serve = Callable[[Callable[[socket.socket], None]], TunnelClient]


@pytest.fixture
def through(tmp_path: Path) -> Iterator[Serve]:
    """A tunnel to a server that does with each connection what it is told."""
    made: list[tuple[TunnelClient, socket.socket]] = []

    def serve(handle: Callable[[socket.socket], None]) -> TunnelClient:
        listener = socket.create_server(("127.0.0.1", 0))

        def work() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

        threading.Thread(target=work, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        with (tmp_path / "log").open("ab") as log:
            servers = [f"127.0.0.1:{listener.getsockname()[1]}", f"127.0.0.1:{nobody}"]
            tunnel = TunnelClient(FAR_END, servers, os.environ, log)
        made.append((tunnel, listener))
        return tunnel

    yield serve
    for tunnel, listener in made:
        tunnel.close()
        listener.close()


def echo(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def with_a_reset(connection: socket.socket) -> None:
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def all_of(connection: socket.socket) -> bytes:
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


def test_what_is_sent_arrives_whole_both_ways_and_an_end_is_an_end(through: Serve) -> None:
    tunnel = through(echo)
    sent = os.urandom(3_000_000)
    with tunnel.dial(tunnel.ports[0], 10) as connection:
        threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR))).start()
        assert all_of(connection) == sent


def test_many_connections_do_not_mix(through: Serve) -> None:
    tunnel = through(echo)
    open_ = [socket.create_connection(("127.0.0.1", tunnel.ports[0]), timeout=10) for _ in range(20)]
    for number, connection in enumerate(open_):
        connection.sendall(f"{number:04d}".encode())
    for number, connection in reversed(list(enumerate(open_))):
        with connection:
            assert connection.recv(4, socket.MSG_WAITALL) == f"{number:04d}".encode()


def test_a_reset_at_the_far_end_is_one_here(through: Serve) -> None:
    tunnel = through(with_a_reset)
    with tunnel.dial(tunnel.ports[0], 10) as connection:
        connection.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_refusal_is_told_to_who_dials_and_is_a_reset_to_who_connects(through: Serve) -> None:
    tunnel = through(echo)
    with pytest.raises(ConnectionRefusedError):
        tunnel.dial(tunnel.ports[1], 10)
    with (
        socket.create_connection(("127.0.0.1", tunnel.ports[1]), timeout=10) as connection,
        pytest.raises(ConnectionResetError),
    ):
        connection.recv(1)


def test_a_client_that_leaves_ends_the_far_connection(through: Serve) -> None:
    left = threading.Event()

    def stream(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"token " * 100)
                time.sleep(0.001)
        except OSError:
            left.set()

    tunnel = through(stream)
    tunnel.dial(tunnel.ports[0], 10).close()
    assert left.wait(10)


def test_when_the_far_end_has_gone_connections_are_reset_and_the_ports_are_closed(through: Serve) -> None:
    tunnel = through(echo)
    with tunnel.dial(tunnel.ports[0], 10) as connection:
        tunnel.close()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        tunnel.dial(tunnel.ports[0], 1)


def test_a_client_that_reads_nothing_is_reset_as_well_when_the_far_end_has_gone(through: Serve) -> None:
    flooded = threading.Event()

    def flood(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(b"token " * 5_000_000)
            flooded.set()
            connection.recv(1)

    tunnel = through(flood)
    with tunnel.dial(tunnel.ports[0], 10) as connection:
        assert flooded.wait(30)
        tunnel.close()
        with pytest.raises(ConnectionResetError):
            all_of(connection)


async def test_what_is_asked_for_when_the_far_end_has_gone_has_failed() -> None:
    nothing = asyncio.StreamReader()
    nothing.feed_eof()
    near, far = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=near)
    mux = Mux(nothing, writer)
    await mux.run()
    _, opened = mux.open("127.0.0.1:1")
    writer.close()
    far.close()
    assert await asyncio.wait_for(opened, 1) is Frame.FAILED


def test_a_far_end_that_cannot_be_started_is_no_tunnel(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        tunnel = TunnelClient(["false"], ["127.0.0.1:1"], os.environ, log)
    with pytest.raises(OSError):  # noqa: PT011  refused or reset, as it happens
        tunnel.dial(tunnel.ports[0], 1)
    tunnel.close()
