"""Free loopback ports that nothing takes by chance while their server is down.

A port from the kernel's ephemeral range could be taken, as its own end, by any outgoing connection in the seconds in
which a killed replica is restarted. So ports are chosen below or above that range, and held until the servers start.
Another run on this machine would choose alike: each port is claimed for as long as its stack lives, so that nobody who
claims takes one whose server is not there yet, or is just being restarted.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model.errors import StackError

__all__ = ["HeldPorts", "candidates", "ephemeral_range"]

FIRST, LAST = 20_000, 60_999  # below 20,000 live well-known services
DEFAULT_EPHEMERAL = (32_768, 60_999)


class HeldPorts:
    """Ports bound on 127.0.0.1 all at once, so that they differ, until `release`; claimed until `forget`."""

    def __init__(self, count: int, *, avoid: Sequence[int] = ()) -> None:
        self._sockets: list[socket.socket] = []
        self._claims: list[socket.socket] = []
        for port in candidates(ephemeral_range(), os.getpid()):
            if len(self._sockets) == count:
                break
            if port not in avoid:
                self._try(port)
        while len(self._sockets) < count:
            self._try(0)
        self.ports = tuple(sock.getsockname()[1] for sock in self._sockets)

    def release(self) -> None:
        """Let servers bind them; safe to call twice."""
        _close(self._sockets)

    def forget(self) -> None:
        """Let others choose them; safe to call twice."""
        _close(self._sockets)
        _close(self._claims)

    def _try(self, port: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            sock.close()
            if port == 0:
                self.forget()
                raise StackError(f"no free port on 127.0.0.1 ({error}); stop something that listens there") from error
            return
        if claim := _claim(sock.getsockname()[1]):
            self._sockets.append(sock)
            self._claims.append(claim)
        else:
            sock.close()


def _claim(port: int) -> socket.socket | None:
    """A name that one process has at a time and that ends with it; None: another one has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if sys.platform == "linux":  # elsewhere names of sockets are files, and a port is claimed by nobody
        try:
            claim.bind(f"\0reliability-harness/port/{port}")  # as ports are, of this network namespace
        except OSError:
            claim.close()
            return None
    return claim


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
    sockets.clear()


def candidates(ephemeral: tuple[int, int], start: int) -> Iterator[int]:
    """At most 500 ports outside the ephemeral range; `start` lets concurrent runs begin at different places."""
    outside = [port for port in range(FIRST, LAST + 1) if not ephemeral[0] <= port <= ephemeral[1]]
    for step in range(min(500, len(outside))):
        yield outside[(start * 31 + step) % len(outside)]


def ephemeral_range(path: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> tuple[int, int]:
    """The ports from which the kernel draws for outgoing connections."""
    try:
        low, high = path.read_text().split()
    except (OSError, ValueError):
        return DEFAULT_EPHEMERAL
    return int(low), int(high)
