"""One client, its own connection to the upstream, and the two links between them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.toxics.link import Link
from harness.toxics.pieces import End

if TYPE_CHECKING:
    from harness.toxics.listen import Target
    from harness.toxics.proxy import Proxy
    from harness.toxics.requests import Requests

__all__ = ["Connection", "Policy"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN


@dataclass(frozen=True)
class Policy:
    """How faithfully the ends of connections are passed on."""

    half_close: bool = True  # FIN ends one direction only; False, as in the official server: the whole connection
    pass_reset: bool = False  # RST is passed on as RST, and a refused dial ends with one; the official server sends FIN


class Connection:
    """From `accept` until both sockets are closed."""

    __slots__ = (
        "alarms",
        "client",
        "down",
        "looking_up",
        "loop",
        "number",
        "policy",
        "proxy",
        "requests",
        "resets",
        "running",
        "up",
        "upstream",
    )  # fmt: skip

    def __init__(self, proxy: Proxy, client: socket.socket, number: int) -> None:
        self.proxy = proxy
        self.client = client
        self.number = number
        self.loop = proxy.world.loop
        self.alarms = proxy.world.alarms
        self.policy: Policy = proxy.world.policy
        self.looking_up: asyncio.Task[None] | None = None
        self.upstream: socket.socket | None = None
        self.up: Link | None = None
        self.down: Link | None = None
        self.requests: Requests | None = None  # where HTTP requests begin, when a toxic has to know
        self.resets = False  # it ends with RST
        self.running = False

    def dial(self, targets: Sequence[Target] | None) -> None:
        """Connect to the upstream; the client is not read before. None: the name has to be looked up first."""
        if targets is None:
            self.looking_up = self.loop.create_task(self._look_up())
        else:
            self._try(iter(targets))

    async def _look_up(self) -> None:
        try:
            targets = await self.proxy.look_up()
        except OSError:
            targets = []
        self.looking_up = None
        self._try(iter(targets))

    def _try(self, targets: Iterator[Target]) -> None:
        """Dial the next address. How long that takes is the kernel's affair, and keeps nobody else waiting."""
        for family, address in targets:
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                continue  # no descriptor is left, or no IPv6
            sock.setblocking(False)
            if sock.connect_ex(address) in (0, errno.EINPROGRESS):
                self.upstream = sock
                self.loop.add_writer(sock.fileno(), self._dialled, targets)
                return
            sock.close()
        self.resets = self.policy.pass_reset
        self.close()

    def _dialled(self, targets: Iterator[Target]) -> None:
        assert self.upstream is not None
        self.loop.remove_writer(self.upstream.fileno())
        if self.upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.upstream.close()
            self.upstream = None
            self._try(targets)
        else:
            self._start(self.upstream)

    def _start(self, upstream: socket.socket) -> None:
        for sock in (self.client, upstream):
            with contextlib.suppress(OSError):  # gone already: reading says so
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        counters = self.proxy.counters
        self.up = Link(self, self.client, upstream, counters["upstream"])
        self.down = Link(self, upstream, self.client, counters["downstream"])
        self.running = True
        self.proxy.toxics.join(self)
        for link in (self.up, self.down):
            link.pump()

    def links(self) -> tuple[Link, ...]:
        return (self.up, self.down) if self.up is not None and self.down is not None else ()

    def link(self, direction: str) -> Link | None:
        return self.up if direction == "upstream" else self.down

    def other(self, link: Link) -> Link:
        other = self.down if link is self.up else self.up
        assert other is not None
        return other

    def request_begins(self) -> None:
        """Called before a request's first bytes go on. Its answer has not begun: requests are not pipelined."""
        for link in self.links():
            for stage in link.stages:
                if stage.toxic.reads_requests and not stage.closed:
                    stage.request_begins()

    def link_ended(self, link: Link, how: End) -> None:
        """A link has delivered everything, its end last."""
        if not self.running:
            return
        other = self.other(link)
        if how is End.RESET:
            self.resets = True
            self.close()
        elif how is End.EOF and self.policy.half_close and not self.resets:
            if other.finished:
                self.close()
            elif not link.broken:
                try:
                    link.dest.shutdown(socket.SHUT_WR)
                except OSError:  # it has gone; the other link will read so
                    link.broken = True
        elif other.finished:
            self.close()
        else:
            link.ended = True
            link.pause()
            other.source_ended(End.CLOSE)  # what it holds is still delivered
            if self.resets:
                reset_on_close(link.dest)
            link.dest.close()

    def close(self) -> None:
        """End everything at once; what the kernel has taken is still sent."""
        self.running = False
        if self.looking_up is not None:
            self.looking_up.cancel()
            self.looking_up = None
        if not self.links() and self.upstream is not None:
            self.loop.remove_writer(self.upstream.fileno())  # it was being dialled
        for link in self.links():
            link.close()
        for sock in (self.client, self.upstream):
            if sock is not None:
                if self.resets:
                    reset_on_close(sock)
                sock.close()
        self.proxy.connections.discard(self)
        self.up = self.down = None  # no cycle is left for the collector


def reset_on_close(sock: socket.socket) -> None:
    """Let the socket end with RST."""
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
