"""What becomes of each request, for the logs: handlers note facts, one middleware writes them down."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from target_service.observability.logs import Logs
from target_service.protocol.web import SERVED_BY, is_probe, request_id

__all__ = ["RequestFacts", "access_log", "facts_of"]

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Asked several times a second, by whoever watches.
ROUTINE = frozenset({"/health", "/ready", "/metrics", "/version", "/counters", "/weights",
                     "/gateway/state", "/gateway/events"})  # fmt: skip
PATH_SHOWN = 200
TEXT_SHOWN = 100_000


@dataclass
class RequestFacts:
    """What a handler knows of its request; None is unknown. Question and answer are for `--log-prompts on` alone."""

    outcome: str | None = None
    reason: str | None = None
    replica: str | None = None
    stream: bool | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    queue_s: float | None = None
    ttft_s: float | None = None
    question: Any = None
    answer: str | None = None


_FACTS = web.RequestKey("facts", RequestFacts)


def facts_of(request: web.Request) -> RequestFacts:
    """The facts of a request; the same object for everybody who asks."""
    if _FACTS not in request:
        request[_FACTS] = RequestFacts()
    return request[_FACTS]


def access_log(
    logs: Logs, served_by: str | None = None, clock: Callable[[], float] = time.monotonic
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware; `served_by` is the replica, if no answer names it. Good answers of ROUTINE get no line."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        begin_s = clock()
        status: int | None = None
        try:
            response = await handler(request)
            status = response.status
            facts_of(request).replica = response.headers.get(SERVED_BY, served_by)
            return response
        finally:
            # Also for a client that leaves: then there is no status.
            _note(logs, request, status, clock() - begin_s)

    return middleware


def _note(logs: Logs, request: web.Request, status: int | None, total_s: float) -> None:
    if request.path in ROUTINE and status is not None and status < 400:
        return
    facts = facts_of(request)
    common: dict[str, object] = {
        "request_id": request_id(request),
        "replica": facts.replica,
        "status": status,
        "outcome": facts.outcome,
        "reason": facts.reason,
        "prompt_tokens": facts.prompt_tokens,
        "completion_tokens": facts.completion_tokens,
        "queue_s": _rounded(facts.queue_s),
        "ttft_s": _rounded(facts.ttft_s),
        "total_s": _rounded(total_s),
    }
    # The query is left out: people put tokens there.
    place = {"method": request.method, "path": request.path[:PATH_SHOWN], "probe": is_probe(request)}
    logs.write("access", common | place | _texts(logs, facts))
    limit_s = logs.settings.slow_request_s
    slow = 0 < limit_s < total_s
    if facts.completion_tokens is not None or slow:
        speed = _speed(facts, total_s)
        extra = {"finish_reason": facts.finish_reason, "stream": facts.stream, "tokens_per_s": speed, "slow": slow}
        logs.write("performance", common | extra)
    if slow:
        log.warning("slow: request %s took %.1f s, more than %g s", request_id(request), total_s, limit_s)


def _texts(logs: Logs, facts: RequestFacts) -> dict[str, object]:
    if not logs.settings.log_prompts:
        return {}
    question = facts.question if facts.question is None else str(facts.question)[:TEXT_SHOWN]
    return {"question": question, "answer": facts.answer if facts.answer is None else facts.answer[:TEXT_SHOWN]}


def _rounded(value_s: float | None) -> float | None:
    return None if value_s is None else round(value_s, 4)


def _speed(facts: RequestFacts, total_s: float) -> float | None:
    return None if facts.completion_tokens is None or total_s <= 0 else round(facts.completion_tokens / total_s, 2)
