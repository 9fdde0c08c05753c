"""Many TCP connections over one stream of bytes, and the far end of a tunnel: `python -m harness.stack.remote.tunnel`.

The far end runs in a container beside the target's and dials what it is told to. What the two ends say to each other
are frames: the number of a connection, a kind, a length, and so many bytes. How a connection ends at one end it ends at
the other: an end of data is one there, a reset is one there, and a refusal is told from both.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum

__all__ = ["Frame", "Mux", "main"]

HEAD = struct.Struct(">IBI")
PIECE = 65536
DIAL_S = 10.0
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Frame(IntEnum):
    """What a frame says of its connection."""

    OPEN = 0  # to HOST:PORT
    OPENED = 1
    REFUSED = 2
    FAILED = 3  # there was no answer, or no such name
    DATA = 4
    END = 5
    RESET = 6


class _Stream:
    """One connection at this end."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[Frame, bytes]] = asyncio.Queue()
        self.opened: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self.writer: asyncio.StreamWriter | None = None


class Mux:
    """One end. `dials`: it connects to where the other end asks; otherwise it only carries what was accepted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, dials: bool = False) -> None:
        self._reader = reader
        self._writer = writer
        self._dials = dials
        self._streams: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0
        self._over = False

    async def run(self) -> None:
        """Until the other end has gone; then every connection is reset."""
        try:
            while True:
                number, kind, length = HEAD.unpack(await self._reader.readexactly(HEAD.size))
                self._take(number, Frame(kind), await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            self._over = True
            for stream in list(self._streams.values()):
                _tell(stream, Frame.RESET, b"")
                if stream.writer is not None:  # whose client may not be reading, so that nothing else would be seen
                    reset(stream.writer)

    def open(self, where: str) -> tuple[int, asyncio.Future[Frame]]:
        """Ask the other end to dial HOST:PORT; the future says what came of it: FAILED if there is no other end."""
        self._next += 1
        stream = self._streams[self._next] = _Stream()
        if self._over:
            _tell(stream, Frame.FAILED, b"")
        else:
            self._send(self._next, Frame.OPEN, where.encode())
        return self._next, stream.opened

    def forget(self, number: int) -> None:
        """A connection that was not opened."""
        self._streams.pop(number, None)

    async def carry(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until both are over."""
        stream = self._streams[number]
        stream.writer = writer
        inward = asyncio.create_task(self._inward(number, reader))
        try:
            await self._outward(number, stream, inward, writer)
        except ConnectionError:  # who asked has gone; the rest is of no use to anybody
            self._send(number, Frame.RESET)
        finally:
            inward.cancel()
            self._streams.pop(number, None)
            writer.close()

    def _take(self, number: int, kind: Frame, data: bytes) -> None:
        if kind is Frame.OPEN and self._dials:
            self._streams[number] = _Stream()
            task = asyncio.create_task(self._dial(number, data.decode()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif stream := self._streams.get(number):
            _tell(stream, kind, data)

    async def _dial(self, number: int, where: str) -> None:
        host, _, port = where.rpartition(":")
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), DIAL_S)
        except (OSError, TimeoutError) as error:
            refused = isinstance(error, ConnectionRefusedError)
            self._send(number, Frame.REFUSED if refused else Frame.FAILED)
            self._streams.pop(number, None)
            return
        self._send(number, Frame.OPENED)
        await self.carry(number, reader, writer)

    async def _inward(self, number: int, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(PIECE):
                self._send(number, Frame.DATA, data)
                await self._writer.drain()
            self._send(number, Frame.END)
        except ConnectionError:
            self._send(number, Frame.RESET)

    async def _outward(
        self, number: int, stream: _Stream, inward: asyncio.Task[None], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            kind, data = await stream.told.get()
            if kind is Frame.DATA:
                writer.write(data)
                await writer.drain()
            elif kind is Frame.END:
                with suppress(OSError):
                    writer.write_eof()
                if await _first_of(inward, stream):
                    return
            else:
                reset(writer)
                return

    def _send(self, number: int, kind: Frame, data: bytes = b"") -> None:
        with suppress(ConnectionError, RuntimeError):  # the other end has gone, which `run` sees
            self._writer.write(HEAD.pack(number, kind, len(data)) + data)


async def _first_of(inward: asyncio.Task[None], stream: _Stream) -> bool:
    """Whether all that came from here has been sent, before something more was told: which can only be a reset."""
    told = asyncio.create_task(_wait_for_words(stream))
    await asyncio.wait({inward, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    return stream.told.empty()


async def _wait_for_words(stream: _Stream) -> None:
    word = await stream.told.get()
    stream.told.put_nowait(word)


def _tell(stream: _Stream, kind: Frame, data: bytes) -> None:
    if kind in (Frame.OPENED, Frame.REFUSED, Frame.FAILED):
        if not stream.opened.done():
            stream.opened.set_result(kind)
        return
    if kind is Frame.RESET and not stream.opened.done():
        stream.opened.set_result(Frame.FAILED)
    stream.told.put_nowait((kind, data))


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset, as its other half was ended."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    writer.transport.abort()


async def over_pipes(
    read_from: object, write_to: object, made: Callable[[Mux], None] | None = None, *, dials: bool = False
) -> None:
    """Run one end on two pipes, such as a process's; `made` gets it before anything is read."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), read_from)
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), write_to)
    mux = Mux(reader, asyncio.StreamWriter(transport, protocol, None, loop), dials=dials)
    if made is not None:
        made(mux)
    try:
        await mux.run()
    finally:
        transport.close()


def main() -> int:
    """Dial what is asked for on standard input, until its end."""
    asyncio.run(over_pipes(sys.stdin.buffer, sys.stdout.buffer, dials=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
