"""Taking a port: as soon as it is free, and only until it is let go."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from harness.record.clock import SystemClock
from harness.stack.ports import HeldPorts
from harness.stack.taken_port import TakenPort

pytestmark = pytest.mark.process


def until(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return condition()


def listening(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def test_a_port_is_taken_when_its_server_lets_it_go_and_no_other_can_have_it_then() -> None:
    held = HeldPorts(1)
    (port,) = held.ports
    held.forget()
    server = listening(port)
    taken = TakenPort(port, SystemClock())
    time.sleep(0.05)
    assert not taken.held
    server.close()
    assert until(lambda: taken.held)
    with pytest.raises(OSError, match="Address already in use"):
        listening(port)
    with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
        assert client.recv(1) == b""  # sent away
    taken.release()
    assert not taken.held
    listening(port).close()
    taken.release()


def test_a_port_that_never_gets_free_is_never_had() -> None:
    held = HeldPorts(1)
    (port,) = held.ports
    held.forget()
    with listening(port):
        taken = TakenPort(port, SystemClock())
        time.sleep(0.05)
        taken.release()
        assert not taken.held
