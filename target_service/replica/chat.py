"""POST /v1/chat/completions on a replica: from the checked body to JSON or a stream."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from aiohttp import web

from target_service.observability.access import RequestFacts, facts_of
from target_service.protocol.body import read_json
from target_service.protocol.chat import ChatRequest, Reply, parse_chat
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.rate_limit import TokenBucket
from target_service.protocol.web import error_reply, is_probe, request_id
from target_service.replica.cache import AnswerCache, answered_once, cache_key
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.engine_face import EngineFace
from target_service.replica.faults import Faults
from target_service.replica.metrics import ReplicaMetrics
from target_service.replica.observation import observed
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
        self._bucket = _bucket(settings.qps_limit)
        self._faults = faults
        self._version = state.model_version

    def adopt(self, settings: HttpSettings) -> None:
        """Serve with other settings from the next request on; the cache itself stays as it is."""
        if settings.qps_limit != self._settings.qps_limit:
            self._bucket = _bucket(settings.qps_limit)
        self._settings = settings

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request; aiohttp cancels this when the client goes away."""
        return await self.counted(request, self._serve)

    async def counted(
        self, request: web.Request, serve: Callable[[web.Request], Awaitable[tuple[web.StreamResponse, str]]]
    ) -> web.StreamResponse:
        """Count a request exactly once, however `serve` ends; it returns the reply and its outcome."""
        probe, counters = is_probe(request), self._state.counters
        facts, begin_s = facts_of(request), time.monotonic()
        self._metrics.began()
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
            facts.reason = rejected.code or outcome
            return error_reply(rejected)
        except Exception as error:
            # A client that leaves while it is written to has cancelled as well.
            outcome = outcome if isinstance(error, ConnectionError) else "500"
            raise
        finally:
            counters.open -= 1
            facts.outcome = outcome
            self._metrics.ended(outcome, facts.reason, time.monotonic() - begin_s, probe=probe)
            if outcome == "ok" and probe:
                counters.probe_answered += 1
            elif outcome == "ok":
                counters.answered += 1

    async def _serve(self, request: web.Request) -> tuple[web.StreamResponse, str]:
        begin_s = time.monotonic()
        engine, body = await self.admitted(request)
        wanted = parse_chat(body, self._state.model, bounded=self._settings.validate)
        facts = facts_of(request)
        facts.question, facts.stream = wanted.messages, wanted.stream
        answer = self._answer(engine, wanted, facts, probe=is_probe(request))
        events = observed(answer, facts, self._metrics, begin_s)
        try:
            # The status line waits for the first token, so that an early failure has a status.
            first = await anext(events)
            if isinstance(first, Failed):
                raise first.rejected
            name = f"chatcmpl-{uuid.uuid4().hex}"
            reply = Reply(name, self._state.model, int(time.time()), self._state.splitter())
            if wanted.stream:
                stream = EventStream(request, reply, self._settings, include_usage=wanted.include_usage)
                async with aclosing(disturbed(events, self._faults)) as sent:
                    return stream.response, await stream.send(sent)
            return await self._whole(reply, events)
        finally:
            await events.aclose()
            self._metrics.observe("e2e_s", time.monotonic() - begin_s)

    async def admitted(self, request: web.Request) -> tuple[EngineFace, Any]:
        """The engine and the body's JSON; raises RequestRejectedError when not ready, too often, or no JSON."""
        serving, refusal = self._state.serving, self._state.refusal
        if serving is None or refusal is not None:
            raise RequestRejectedError(503, f"Not ready: {refusal}.", code=self._state.refusal_code, retry_after_s=1)
        if not is_probe(request):
            self._limit_rate(time.monotonic())
        return serving.engine, await read_json(request)

    async def ask(self, request: web.Request, engine: EngineFace, wanted: ChatRequest) -> tuple[str, Finished]:
        """A whole answer's text and end, for a service with replies of its own; raises RequestRejectedError."""
        begin_s, facts = time.monotonic(), facts_of(request)
        facts.question = wanted.messages
        answer = self._answer(engine, wanted, facts, probe=is_probe(request))
        async with aclosing(observed(answer, facts, self._metrics, begin_s)) as events:
            whole = await _whole_text(events)
        self._metrics.observe("e2e_s", time.monotonic() - begin_s)
        return whole

    def _limit_rate(self, now_s: float) -> None:
        wait_s = self._bucket.take(now_s) if self._bucket is not None else 0
        if wait_s > 0:
            limit = f"More than {self._settings.qps_limit:g} requests a second."
            raise RequestRejectedError(429, limit, code="rate_limited", retry_after_s=math.ceil(wait_s))

    def _answer(
        self, engine: EngineFace, wanted: ChatRequest, facts: RequestFacts, *, probe: bool
    ) -> AsyncGenerator[Event]:
        compute = partial(_events, engine, wanted, self._faults, partial(self._queued, facts))
        key = None
        # A probe asks what the model says now.
        if self._settings.cache_size > 0 and not probe:
            if not self._faults.cache_is_stale:
                self._version = self._state.model_version
            key = cache_key(self._settings.cache_key, wanted, self._version)
        if key is None:
            return compute()
        return answered_once(self._cache, key, compute)

    def _queued(self, facts: RequestFacts, queue_s: float) -> None:
        facts.queue_s = queue_s
        self._metrics.observe("queue_s", queue_s)

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


def _bucket(qps_limit: float) -> TokenBucket | None:
    return TokenBucket(qps_limit, burst=qps_limit) if qps_limit > 0 else None


async def _events(
    engine: EngineFace, wanted: ChatRequest, faults: Faults, queued: Callable[[float], None]
) -> AsyncGenerator[Event]:
    """Events of one job in order; leaving early cancels the job. `queued` hears how long it waited."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Event] = asyncio.Queue()

    def emit(event: Event) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, event)

    faults.taste(wanted)
    job = engine.submit(wanted, emit)
    try:
        while True:
            event = await arrived.get()
            if isinstance(event, Begun):
                queued(max(0.0, job.begun_s - job.queued_s))
            yield event
            if isinstance(event, Finished | Failed):
                return
    finally:
        job.cancelled.set()
