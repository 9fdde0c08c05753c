"""An answer as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from target_service.protocol import sse
from target_service.protocol.chat import Reply
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.faults import Faults

__all__ = ["EventStream", "disturbed"]

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


class EventStream:
    """Writes one answer; `send` says how it ended."""

    def __init__(self, request: web.Request, reply: Reply, *, include_usage: bool) -> None:
        self._request = request
        self._reply = reply
        self._include_usage = include_usage
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})

    async def send(self, events: AsyncIterator[Event]) -> str:
        """Send all events and end the reply; returns the outcome: ok, truncated or a status."""
        await self.response.prepare(self._request)
        await self._write(self._reply.chunk({"role": "assistant", "content": ""}))
        outcome = "truncated"
        async for event in events:
            if isinstance(event, Piece):
                await self._write(self._reply.chunk({"content": event.text}))
            elif isinstance(event, Finished):
                outcome = "ok"
                await self._write(self._reply.chunk({}, event.finish_reason))
                if self._include_usage:
                    await self._write(self._reply.usage_chunk(event.usage))
                break
            elif isinstance(event, Failed):
                # The status is sent already: an error event is all that can still be said.
                outcome = str(event.rejected.status)
                await self._write(event.rejected.body())
                break
        if outcome != "truncated":
            await self.response.write(sse.DONE)
        await self.response.write_eof()
        return outcome

    async def _write(self, payload: object) -> None:
        await self.response.write(sse.event(payload))
