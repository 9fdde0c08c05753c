"""What stands behind the proxy in its figures: `python -m tests.bench.toxics_servers KIND`, ends with its stdin.

`bare` answers HTTP with 2 bytes and looks at nothing; `aiohttp` is a real web server; `echo` sends back; `source` sends
zeros for as long as it is read.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from typing import cast

from aiohttp import web

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_ZEROS = bytes(1 << 20)


class Bare(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.transport.write(_ANSWER)


class Echo(Bare):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Source(Bare):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.resume_writing()

    def resume_writing(self) -> None:
        self.reading = True
        asyncio.get_running_loop().call_soon(self._fill)

    def pause_writing(self) -> None:
        self.reading = False

    def data_received(self, data: bytes) -> None:
        """It does not listen."""

    def _fill(self) -> None:
        while self.reading and not self.transport.is_closing():
            self.transport.write(_ZEROS)


async def _aiohttp() -> int:
    async def ok(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/", ok)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


async def _serve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, 4096) else over.set())
    if kind == "aiohttp":
        port = await _aiohttp()
    else:
        protocol = {"bare": Bare, "echo": Echo, "source": Source}[kind]
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await over.wait()


if __name__ == "__main__":
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory if sys.argv[1] != "aiohttp" else asyncio.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1]))
