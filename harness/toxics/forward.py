"""The data path: what one side sends reaches the other unchanged, and so does how it ends (FIN as FIN, RST as RST).

Bytes are never looked at. A side that does not read stops the other from being read (back-pressure), so memory stays
bounded by asyncio's write buffer (64 KiB) and one read (256 KiB) per direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import cast

__all__ = ["Address", "Side", "accept", "serve"]

LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN
BACKLOG = 1024  # connections; as many users may arrive while the upstream hangs


@dataclass(frozen=True)
class Address:
    """Where to listen, or what to connect to."""

    host: str
    port: int


class Side(asyncio.Protocol):
    """One of a connection's two ends; whatever happens to it is done to its peer."""

    def __init__(self, open_sides: set[Side]) -> None:
        self.open_sides = open_sides
        self.transport: asyncio.Transport | None = None
        self.peer: Side | None = None
        self.ended = False  # it will send nothing more
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods, not by its class
        self.open_sides.add(self)

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None, "read before there is a peer"
        assert self.peer.transport is not None
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer
        if peer is None or peer.transport is None:
            return True
        if peer.ended:
            peer.transport.close()  # both have ended; closing flushes what is still buffered
            return False
        if peer.transport.can_write_eof():
            peer.transport.write_eof()
        return True  # a half-closed connection still carries the other direction

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.open_sides.discard(self)
        peer = self.peer
        if peer is None or peer.lost or peer.transport is None:
            return
        if exc is None:
            peer.transport.close()
        else:
            peer.reset()

    def reset(self) -> None:
        """End the connection with RST."""
        if self.transport is None or self.lost:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # closed already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.transport.abort()


class ClientSide(Side):
    """The end that was accepted: it is not read until the upstream is there."""

    def __init__(self, upstream: Address, open_sides: set[Side]) -> None:
        super().__init__(open_sides)
        self._upstream = upstream
        self._connecting: asyncio.Task[None] | None = None  # held, since the loop keeps only a weak reference

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        other = Side(self.open_sides)
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, self._upstream.host, self._upstream.port)
        except OSError:
            self.reset()  # nobody there: users see a broken connection, as they would without a proxy
            return
        assert self.transport is not None
        if self.lost:
            other.reset()
            return
        self.peer, other.peer = other, self
        self.transport.resume_reading()


async def accept(listen: Address, upstream: Address, open_sides: set[Side]) -> asyncio.Server:
    """Start to accept connections; each gets its own connection to the upstream. `open_sides` always holds the ends
    of all open connections."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: ClientSide(upstream, open_sides), listen.host, listen.port, backlog=BACKLOG)


async def serve(listen: Address, upstream: Address) -> None:
    """Forward for ever. Raises OSError when it cannot listen."""
    server = await accept(listen, upstream, set())
    async with server:
        await server.serve_forever()
