"""Streams: heartbeats in silence, and what is said when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from target_service.protocol.chat import Usage
from target_service.replica.engine import Event, Finished, Piece
from target_service.replica.streaming import Silence, with_silences

END = Finished("stop", Usage(1, 2))


class Slow:
    """Events that come when the test says so."""

    def __init__(self) -> None:
        self.due: asyncio.Queue[Event] = asyncio.Queue()
        self.closed = False

    async def events(self) -> AsyncGenerator[Event]:
        try:
            while True:
                yield await self.due.get()
        finally:
            self.closed = True


async def test_silence_is_told_until_an_event_comes_and_no_event_is_lost() -> None:
    slow = Slow()
    heard = with_silences(slow.events(), 0.001)
    assert [await anext(heard) for _ in range(3)] == [Silence()] * 3
    slow.due.put_nowait(Piece("a"))
    slow.due.put_nowait(END)
    assert [event async for event in _until_end(heard) if event != Silence()] == [Piece("a"), END]
    await heard.aclose()


async def test_who_leaves_in_silence_leaves_nothing_waiting() -> None:
    slow = Slow()
    heard = with_silences(slow.events(), 0.001)
    assert await anext(heard) == Silence()
    await heard.aclose()
    assert slow.closed


async def _until_end(heard: AsyncGenerator[Event | Silence]) -> AsyncGenerator[Event | Silence]:
    async for event in heard:
        yield event
        if event is END:
            return


async def test_without_heartbeats_silence_is_silent() -> None:
    slow = Slow()
    heard = with_silences(slow.events(), 0)
    waiting = asyncio.ensure_future(anext(heard))
    assert not (await asyncio.wait({waiting}, timeout=0.02))[0]
    slow.due.put_nowait(END)
    assert await waiting is END
    await heard.aclose()


async def test_a_stream_that_ends_is_at_its_end() -> None:
    async def one() -> AsyncGenerator[Event]:
        yield END

    assert [event async for event in with_silences(one(), 10)] == [END]
