"""A chat-completion server that breaks by script: `python -m tests.bench.scripted_outage KIND`.

It prints {"port": …}, reads one line from stdin, [[begin, end], …] in seconds of the monotonic clock, and prints
{"bad_s": …, "good_s": …} after each outage: the moments at which it really changed. It ends with its stdin.

refuse  listener and connections are closed                503   answers with status 503
drop    a request's connection is reset, without an answer hang  requests are held, and all answered at the end

One thread does everything, so a moment noted here separates the requests treated before it from those treated after.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import struct
import sys
import time
from pathlib import Path

_JSON = json.dumps(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 1},
    }
).encode()
_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Served-By: primary\r\nContent-Length: %d\r\n\r\n%s"
_ANSWER = _HEAD % (b"200 OK", len(_JSON), _JSON)
_UNAVAILABLE = _HEAD % (b"503 Service Unavailable", 2, b"{}")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close sends RST


class ScriptedServer:
    """Good, or bad in the way of its kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.bad = False
        self.connections: set[asyncio.Transport] = set()
        self.held: list[asyncio.Transport] = []
        self.port = 0
        self._listener: socket.socket | None = None

    def answer(self, transport: asyncio.Transport) -> None:
        if not self.bad:
            transport.write(_ANSWER)
        elif self.kind == "503":
            transport.write(_UNAVAILABLE)
        elif self.kind == "hang":
            self.held.append(transport)
        else:
            reset(transport)

    def open(self) -> None:
        """Listen: on the same port as before, if there was one."""
        self._listener = _listen(self.port)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def close(self) -> None:
        """Nobody listens, nobody is connected."""
        assert self._listener is not None
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for transport in list(self.connections):
            reset(transport)

    async def play(self, outages: list[tuple[float, float]]) -> None:
        for begin_s, end_s in outages:
            await asyncio.sleep(begin_s - time.monotonic())
            bad_s = self._break()
            await asyncio.sleep(end_s - time.monotonic())
            print(json.dumps({"bad_s": bad_s, "good_s": self._heal()}), flush=True)

    def _break(self) -> float:
        bad_s = time.monotonic()
        self.bad = True
        if self.kind == "refuse":
            self.close()
        return bad_s

    def _heal(self) -> float:
        if self.kind == "refuse":
            self.open()
        good_s = time.monotonic()  # whoever was refused came before; whoever is accepted comes later
        self.bad = False
        held, self.held = self.held, []
        for transport in held:
            transport.write(_ANSWER)  # to a client that has gone: dropped
        return good_s

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody more
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(lambda: _Connection(self), connection))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)


_TASKS: set[asyncio.Task[object]] = set()


class _Connection(asyncio.Protocol):
    """Requests come whole: they are small and sent in one write."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)
        if self._server.bad and self._server.kind == "refuse":
            reset(transport)  # accepted just before the listener was closed

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._server.answer(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._server.connections.discard(self._transport)


def reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _listen(port: int) -> socket.socket:
    """On a port that no outgoing connection is given: a client could otherwise take it, or connect to itself."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    tries = [port] if port else [random.randrange(lowest // 2, lowest) for _ in range(50)]
    for one in tries:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", one))
            listener.listen(1024)
        except OSError:
            listener.close()
            continue
        listener.setblocking(False)
        return listener
    raise OSError(f"none of these ports is free: {tries}")


async def _serve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    server = ScriptedServer(kind)
    server.open()
    print(json.dumps({"port": server.port}), flush=True)
    over = asyncio.Event()
    plays: list[asyncio.Task[None]] = []

    def on_stdin() -> None:
        line = os.read(0, 1 << 16)
        if line:
            plays.append(loop.create_task(server.play(json.loads(line))))
        else:
            over.set()

    loop.add_reader(0, on_stdin)
    await over.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
