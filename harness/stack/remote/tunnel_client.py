"""The near end of a tunnel: ports of 127.0.0.1 behind which are servers on another host's container network."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from typing import IO

from harness.model.errors import StackError
from harness.stack.remote.far_end import FarEnd
from harness.stack.remote.tunnel import Frame, Mux, over_pipes, reset

__all__ = ["TunnelClient"]

HOST = "127.0.0.1"
UP_S = 30.0
LAST_S = 1.0
Peer = tuple[str, int]
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TunnelClient:
    """`command` starts the far end. `servers`: HOST:PORT as the far end dials them; `ports` are theirs here, in order.

    A port accepts before anybody knows whether the server does: what is refused there is reset here. `dial` waits for
    it, so that a refusal is one.
    """

    def __init__(
        self, command: Sequence[str], servers: Sequence[str], environ: Mapping[str, str], log: IO[bytes]
    ) -> None:
        self._servers = list(servers)
        self._opened: dict[Peer, Future[Frame]] = {}
        self._up: Future[tuple[int, ...]] = Future()
        self._far = FarEnd(command, environ, log)
        self._thread = threading.Thread(target=self._work, name="tunnel", daemon=True)
        self._thread.start()
        try:
            self.ports = self._up.result(UP_S)
        except (Late, OSError) as error:
            self.close()
            raise StackError(f"no tunnel to the containers could be made ({error!r})") from error

    def dial(self, port: int, limit_s: float) -> socket.socket:
        """A connection to a server through one of the ports. Raises OSError: refused, or not made in time."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.settimeout(limit_s)
            connection.bind((HOST, 0))
            opened = self._opened[connection.getsockname()] = Future()
            connection.connect((HOST, port))
            said = opened.result(limit_s)
            if said is not Frame.OPENED:
                raise ConnectionRefusedError if said is Frame.REFUSED else TimeoutError
        except BaseException:
            self._opened.pop(connection.getsockname(), None)
            connection.close()
            raise
        self._opened.pop(connection.getsockname(), None)
        return connection

    def close(self) -> None:
        """End both ends, and every connection. May be called again."""
        self._far.kill()
        self._thread.join(2.0)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  who waits for the tunnel is told
            if not self._up.done():
                self._up.set_exception(error if isinstance(error, OSError) else OSError(repr(error)))

    async def _serve(self) -> None:
        listeners: list[asyncio.Server] = []
        made: asyncio.Future[Mux] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(over_pipes(self._far.back, self._far.to, made.set_result))
        try:
            mux = await made
            for server in self._servers:
                listener = await asyncio.start_server(self._accepting(mux, server), HOST, 0)
                listeners.append(listener)
            self._up.set_result(tuple(one.sockets[0].getsockname()[1] for one in listeners))
            await running
        finally:
            running.cancel()
            for one in listeners:
                one.close()
            await _all_others()

    def _accepting(self, mux: Mux, server: str) -> Accept:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number, opened = mux.open(server)
            said = await opened
            waiting = self._opened.get(writer.get_extra_info("peername"))
            if waiting is not None:
                waiting.set_result(said)
            if said is Frame.OPENED:
                await mux.carry(number, reader, writer)
            else:
                mux.forget(number)
                reset(writer)

        return accept


async def _all_others() -> None:
    """Until what was being accepted has been reset: a task cancelled before its first step would leave it open."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_S):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)
