"""Watches the events of an answer pass, for metrics and logs."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from target_service.observability.access import RequestFacts
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.metrics import ReplicaMetrics

__all__ = ["observed"]


async def observed(
    events: AsyncGenerator[Event],
    facts: RequestFacts,
    metrics: ReplicaMetrics,
    begin_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Event]:
    """The same events. Fills `facts`: ttft_s, tokens, why it ended, and the answer's text."""
    last_s: float | None = None
    pieces: list[str] = []
    async with aclosing(events):
        async for event in events:
            now_s = clock()
            if isinstance(event, Begun):
                facts.ttft_s = now_s - begin_s
                metrics.observe("ttft_s", facts.ttft_s)
            elif isinstance(event, Piece):
                if last_s is not None:
                    metrics.observe("gap_s", now_s - last_s)
                last_s = now_s
                pieces.append(event.text)
            elif isinstance(event, Finished):
                facts.finish_reason = event.finish_reason
                facts.prompt_tokens = event.usage.prompt_tokens
                facts.completion_tokens = event.usage.completion_tokens
                facts.answer = "".join(pieces)
                metrics.finished(event, now_s - begin_s)
            elif isinstance(event, Failed):
                facts.reason = event.rejected.code or str(event.rejected.status)
            yield event
