"""A client that costs little: kept connections, requests made beforehand, one process."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Question:
    """A request's bytes, and the text of its only right answer."""

    request: bytes
    answer: str


def question(body: dict[str, Any], answer: str) -> Question:
    sent = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\n\r\n"
    return Question(head.encode() + sent, answer)


@dataclass
class Tally:
    """How requests ended, and how long the right ones took."""

    ends: dict[str, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)

    def count(self, end: str) -> None:
        self.ends[end] = self.ends.get(end, 0) + 1

    @property
    def right(self) -> int:
        return self.ends.get("right", 0)


class Connection(asyncio.Protocol):
    """One request at a time; replies must have a Content-Length."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._whole = 0
        self._reply: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> Connection:
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._transport is None:
            raise ConnectionError("the server closed the connection")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._reply

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._whole and _HEAD_END in self._got:
            head, _, _ = bytes(self._got).partition(_HEAD_END)
            length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            self._whole = len(head) + len(_HEAD_END) + int(length)
        if self._whole and len(self._got) >= self._whole:
            status, body = int(self._got[9:12]), bytes(self._got).partition(_HEAD_END)[2]
            self._got.clear()
            self._whole = 0
            if self._reply is not None and not self._reply.done():
                self._reply.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _verdict(asked: Question, status: int, body: bytes) -> str:
    if status != 200:
        return str(status)
    return "right" if json.loads(body)["choices"][0]["message"]["content"] == asked.answer else "wrong"


async def closed_loop(port: int, questions: Sequence[Question], users: int, seconds: float) -> Tally:
    """So many users, each asks again when it is answered."""
    tally, end_s = Tally(), time.monotonic() + seconds

    async def user(number: int) -> None:
        connection = await Connection.open(port)
        while (begin_s := time.monotonic()) < end_s:
            asked = questions[number % len(questions)]
            number += users + 1
            tally.count(_verdict(asked, *await connection.ask(asked.request)))
            tally.latencies_s.append(time.monotonic() - begin_s)
        connection.close()

    await asyncio.gather(*(user(number) for number in range(users)))
    return tally


@dataclass(frozen=True)
class Offered:
    """An open loop: Poisson arrivals, and a deadline at which a user gives up and hangs up. Only requests that come
    after the first `settle_s` are counted."""

    rate: float
    settle_s: float
    seconds: float
    deadline_s: float
    seed: int


async def open_loop(port: int, questions: Sequence[Question], offered: Offered) -> Tally:
    """Requests at their times, whatever became of those before them; latencies count from those times."""
    tally, draw, idle = Tally(), random.Random(offered.seed), list[Connection]()
    begin_s = time.monotonic()

    async def one(asked: Question, at_s: float) -> None:
        connection: Connection | None = None
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + offered.deadline_s):
                connection = idle.pop() if idle else await Connection.open(port)
                end = _verdict(asked, *await connection.ask(asked.request))
        except TimeoutError:
            end = "late"
        except OSError:
            end = "broken"
        if end in ("late", "broken") and connection is not None:
            connection.close()
        elif connection is not None:
            idle.append(connection)
        if at_s < begin_s + offered.settle_s:
            return
        tally.count(end)
        if end == "right":
            tally.latencies_s.append(time.monotonic() - at_s)

    at_s = begin_s
    async with asyncio.TaskGroup() as users:
        while (at_s := at_s + draw.expovariate(offered.rate)) < begin_s + offered.settle_s + offered.seconds:
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            users.create_task(one(draw.choice(questions), at_s))
    for connection in idle:
        connection.close()
    return tally


async def health_latencies_s(port: int, every_s: float, stop: asyncio.Event) -> list[float]:
    """GET /health on a connection of its own, each from the time when it was due."""
    request, found = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", list[float]()
    connection = await Connection.open(port)
    due_s = time.monotonic()
    while not stop.is_set():
        status, _ = await connection.ask(request)
        if status != 200:
            raise RuntimeError(f"/health says {status}")
        found.append(time.monotonic() - due_s)
        # One that is answered late puts the next one off, which then counts as late too.
        due_s += every_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
    connection.close()
    return found


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
