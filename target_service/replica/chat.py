"""POST /v1/chat/completions on a replica: from the checked body to JSON or a stream."""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from aiohttp import web

from target_service.protocol.chat import ChatRequest, Reply, parse_chat
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.rate_limit import TokenBucket
from target_service.protocol.web import error_reply, is_probe, request_id
from target_service.replica.cache import AnswerCache, answered_once, cache_key
from target_service.replica.engine import Engine, Event, Failed, Finished, Piece
from target_service.replica.faults import Faults
from target_service.replica.metrics import ReplicaMetrics
from target_service.replica.settings import HttpSettings
from target_service.replica.state import ReplicaState
from target_service.replica.streaming import EventStream, disturbed

__all__ = ["ChatHandler"]


class ChatHandler:
    """Handles chat requests; counts every one of them exactly once."""

    def __init__(
        self,
        state: ReplicaState,
        metrics: ReplicaMetrics,
        settings: HttpSettings,
        cache: AnswerCache,
        faults: Faults,
    ) -> None:
        self._state = state
        self._metrics = metrics
        self._settings = settings
        self._cache = cache
        self._bucket = TokenBucket(settings.qps_limit, burst=settings.qps_limit) if settings.qps_limit > 0 else None
        self._faults = faults

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request; aiohttp cancels this when the client goes away."""
        return await self.counted(request, self._serve)

    async def counted(
        self, request: web.Request, serve: Callable[[web.Request], Awaitable[tuple[web.StreamResponse, str]]]
    ) -> web.StreamResponse:
        """Count a request exactly once, however `serve` ends; it returns the reply and its outcome."""
        probe, counters = is_probe(request), self._state.counters
        if probe:
            counters.probe_received += 1
        else:
            counters.received += 1
            counters.user_ids.add(request_id(request))
        counters.open += 1
        outcome = "cancelled"
        try:
            response, outcome = await serve(request)
            return response
        except RequestRejectedError as rejected:
            outcome = str(rejected.status)
            return error_reply(rejected)
        finally:
            counters.open -= 1
            self._metrics.ended(outcome, probe=probe)
            if outcome == "ok" and probe:
                counters.probe_answered += 1
            elif outcome == "ok":
                counters.answered += 1

    async def _serve(self, request: web.Request) -> tuple[web.StreamResponse, str]:
        begin_s = time.monotonic()
        engine, body = await self.admitted(request)
        wanted = parse_chat(body, self._state.model, bounded=self._settings.validate)
        events = self._answer(engine, wanted, probe=is_probe(request))
        try:
            # The status line waits for the first token, so that an early failure has a status.
            first = await anext(events)
            if isinstance(first, Failed):
                raise first.rejected
            self._metrics.ttft_s.observe(time.monotonic() - begin_s)
            name = f"chatcmpl-{uuid.uuid4().hex}"
            reply = Reply(name, self._state.model, int(time.time()), self._state.splitter())
            if wanted.stream:
                stream = EventStream(request, reply, self._settings, include_usage=wanted.include_usage)
                async with aclosing(disturbed(events, self._faults)) as sent:
                    return stream.response, await stream.send(sent)
            return await self._whole(reply, events)
        finally:
            await events.aclose()
            self._metrics.e2e_s.observe(time.monotonic() - begin_s)

    async def admitted(self, request: web.Request) -> tuple[Engine, Any]:
        """The engine and the body's JSON; raises RequestRejectedError when not ready, too often, or no JSON."""
        serving, refusal = self._state.serving, self._state.refusal
        if serving is None or refusal is not None:
            raise RequestRejectedError(503, f"Not ready: {refusal}.", code="not_ready", retry_after_s=1)
        if not is_probe(request):
            self._limit_rate(time.monotonic())
        try:
            return serving.engine, await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestRejectedError(400, f"The body is not JSON: {error}.") from error

    async def ask(self, engine: Engine, wanted: ChatRequest, *, probe: bool) -> tuple[str, Finished]:
        """A whole answer's text and end, for a service with replies of its own; raises RequestRejectedError."""
        begin_s = time.monotonic()
        async with aclosing(self._answer(engine, wanted, probe=probe)) as events:
            answer = await _whole_text(events)
        self._metrics.e2e_s.observe(time.monotonic() - begin_s)
        return answer

    def _limit_rate(self, now_s: float) -> None:
        wait_s = self._bucket.take(now_s) if self._bucket is not None else 0
        if wait_s > 0:
            limit = f"More than {self._settings.qps_limit:g} requests a second."
            raise RequestRejectedError(429, limit, code="rate_limited", retry_after_s=math.ceil(wait_s))

    def _answer(self, engine: Engine, wanted: ChatRequest, *, probe: bool) -> AsyncGenerator[Event]:
        key = None
        # A probe asks what the model says now.
        if self._settings.cache_size > 0 and not probe:
            # Without a hash of the weights, another start may be another model.
            version = self._state.weights_sha256 or self._state.incarnation
            key = cache_key(self._settings.cache_key, wanted, version)
        if key is None:
            return _events(engine, wanted)
        return answered_once(self._cache, key, partial(_events, engine, wanted))

    async def _whole(self, reply: Reply, events: AsyncIterator[Event]) -> tuple[web.StreamResponse, str]:
        text, end = await _whole_text(events)
        return web.json_response(reply.whole(text, end.finish_reason, end.usage)), "ok"


async def _whole_text(events: AsyncIterator[Event]) -> tuple[str, Finished]:
    text = ""
    async for event in events:
        if isinstance(event, Failed):
            raise event.rejected
        if isinstance(event, Piece):
            text += event.text
        if isinstance(event, Finished):
            return text, event
    raise RequestRejectedError(500, "The engine ended without an answer.")


async def _events(engine: Engine, wanted: ChatRequest) -> AsyncGenerator[Event]:
    """Events of one job in order; leaving early cancels the job."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Event] = asyncio.Queue()

    def emit(event: Event) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, event)

    job = engine.submit(wanted, emit)
    try:
        while True:
            event = await arrived.get()
            yield event
            if isinstance(event, Finished | Failed):
                return
    finally:
        job.cancelled.set()
