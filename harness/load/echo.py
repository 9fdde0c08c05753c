"""A server that does nothing: what the control lane measures against it is the noise of generator and host.

`python -m harness.load.echo [--fd N]` serves GET /echo on 127.0.0.1 (or on the listening socket N it inherited), prints
{"port": n}, and ends when its stdin does. Standard library only, so that it starts at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys

__all__ = ["main"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n%s\r\nok\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n%s\r\n"


class _Echo(asyncio.Protocol):
    """Requests without a body, over keep-alive connections."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            close = b"connection: close" in head.lower()
            answer = _ANSWER if head.startswith(b"GET /echo") else _NOT_FOUND
            self._transport.write(answer % (b"Connection: close\r\n" if close else b""))
            if close:
                self._transport.close()
                return


async def _serve(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    harness_gone = asyncio.Event()

    def on_stdin() -> None:
        if not os.read(0, 4096):
            harness_gone.set()

    loop.add_reader(0, on_stdin)
    server = await loop.create_server(_Echo, sock=listener)
    os.write(1, (json.dumps({"port": listener.getsockname()[1]}) + "\n").encode())
    await harness_gone.wait()
    server.close()


def main(arguments: list[str]) -> int:
    """Serve until stdin ends."""
    if arguments[:1] == ["--fd"]:
        listener = socket.socket(fileno=int(arguments[1]))
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    asyncio.run(_serve(listener))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
