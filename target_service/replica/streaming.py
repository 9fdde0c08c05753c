"""An answer as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from target_service.protocol import sse
from target_service.protocol.chat import Reply
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.faults import Faults
from target_service.replica.settings import HttpSettings

__all__ = ["EventStream", "Silence", "disturbed", "with_silences"]

STALL_LOOK_S = 0.02


async def disturbed(events: AsyncIterator[Event], faults: Faults) -> AsyncGenerator[Event]:
    """The events, until a fault cuts them off or holds them up."""
    sent = 0
    async for event in events:
        if not isinstance(event, Begun):
            if faults.truncates(sent):
                return
            # Polled: a fault is rare, and it ends in another place.
            while faults.stalls(sent):  # noqa: ASYNC110
                await asyncio.sleep(STALL_LOOK_S)
            sent += 1
        yield event


@dataclass(frozen=True)
class Silence:
    """Nothing happened for a while."""


async def with_silences(events: AsyncIterator[Event], every_s: float) -> AsyncGenerator[Event | Silence]:
    """The events, and a Silence for each `every_s` without one; 0: none. Closing `events` is the caller's."""
    if every_s <= 0:
        async for event in events:
            yield event
        return
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            arrived, _ = await asyncio.wait({upcoming}, timeout=every_s)
            if not arrived:
                yield Silence()
                continue
            arrival = upcoming.result()
            if arrival is None:
                return
            yield arrival
            upcoming = asyncio.ensure_future(anext(events, None))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


class EventStream:
    """Writes one answer; `send` says how it ended."""

    def __init__(self, request: web.Request, reply: Reply, settings: HttpSettings, *, include_usage: bool) -> None:
        self._request = request
        self._reply = reply
        self._settings = settings
        self._include_usage = include_usage
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})

    async def send(self, events: AsyncIterator[Event]) -> str:
        """Send all events and end the reply; returns the outcome: ok, truncated or a status."""
        await self.response.prepare(self._request)
        await self._write(self._reply.chunk({"role": "assistant", "content": ""}))
        outcome = "truncated"
        async with aclosing(with_silences(events, self._settings.sse_heartbeat_s)) as happening:
            async for event in happening:
                if isinstance(event, Piece):
                    await self._write_deltas(self._reply.splitter.feed(event.text))
                elif isinstance(event, Silence):
                    await self.response.write(sse.KEEP_ALIVE)
                elif isinstance(event, Finished | Failed):
                    outcome = await self._end(event)
                    break
        await self.response.write_eof()
        return outcome

    async def _end(self, event: Finished | Failed) -> str:
        if isinstance(event, Failed):
            # The status is sent already: an error event is all that can still be said.
            if self._settings.stream_error_event:
                await self._write(event.rejected.body())
                await self.response.write(sse.DONE)
            return str(event.rejected.status)
        await self._write_deltas(self._reply.splitter.end())
        await self._write(self._reply.chunk({}, event.finish_reason))
        if self._include_usage:
            await self._write(self._reply.usage_chunk(event.usage))
        await self.response.write(sse.DONE)
        return "ok"

    async def _write_deltas(self, deltas: list[dict[str, str]]) -> None:
        for delta in deltas:
            await self._write(self._reply.chunk(delta))

    async def _write(self, payload: object) -> None:
        await self.response.write(sse.event(payload))
