"""Answers that were given before: bounded, with an end, and computed once however many ask at a time.

`full` keys say everything that decides an answer. `prompt-only` is a defect that real services had
(vllm#50702, TGI#2871): two conversations that end alike get one answer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from target_service.protocol.chat import ChatRequest
from target_service.replica.engine import Begun, Event, Finished, Piece
from target_service.replica.settings import CacheKeyKind
from target_service.replica.single_flight import Flight

__all__ = ["AnswerCache", "KnownAnswer", "answered_once", "cache_key"]


@dataclass(frozen=True)
class KnownAnswer:
    """A whole answer."""

    text: str
    finished: Finished


def cache_key(kind: CacheKeyKind, request: ChatRequest, model_version: str) -> Hashable | None:
    """What the answer is known by; None for a request whose answer must be drawn anew."""
    if kind == "prompt-only":
        return request.messages[-1].content
    if request.sampling.temperature > 0 and request.sampling.seed is None:
        return None
    return model_version, request.messages, request.sampling


class AnswerCache:
    """The `size` answers used last, each for `ttl_s`; and which are being computed now."""

    def __init__(
        self,
        size: int,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
        stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._size = size
        self._ttl_s = ttl_s
        self._clock = clock
        self._stale = stale
        self._known: OrderedDict[Hashable, tuple[KnownAnswer, float]] = OrderedDict()
        self.computing: dict[Hashable, Flight[Event]] = {}
        self.hits_total = 0
        self.misses_total = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Hashable) -> KnownAnswer | None:
        """A known answer that is not too old, or of any age under the fault that makes it stale."""
        answer, until_s = self._known.get(key, (None, 0.0))
        if answer is None or (self._clock() >= until_s and not self._stale()):
            self._known.pop(key, None)
            return None
        self._known.move_to_end(key)
        return answer

    def landed(self, key: Hashable) -> None:
        """Nobody can join a computation any more."""
        del self.computing[key]

    def put(self, key: Hashable, answer: KnownAnswer) -> None:
        """Keep an answer, and forget the one that was not asked for the longest."""
        self._known[key] = (answer, self._clock() + self._ttl_s)
        self._known.move_to_end(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


async def answered_once(
    cache: AnswerCache, key: Hashable, compute: Callable[[], AsyncGenerator[Event]]
) -> AsyncGenerator[Event]:
    """The events of an answer: from the cache, or computed once for all who ask, as they come."""
    known = cache.get(key)
    if known is not None:
        cache.hits_total += 1
        yield Begun()
        if known.text:
            yield Piece(known.text)
        yield known.finished
        return
    flight, joined = cache.computing.get(key), True
    if flight is None:
        cache.misses_total += 1
        joined = False
        flight = Flight(partial(_kept, cache, key, compute), partial(cache.landed, key))
        cache.computing[key] = flight
    async with aclosing(flight.follow()) as events:
        async for event in events:
            # A failure of another's computation is no hit.
            cache.hits_total += joined and isinstance(event, Finished)
            yield event


async def _kept(
    cache: AnswerCache, key: Hashable, compute: Callable[[], AsyncGenerator[Event]]
) -> AsyncGenerator[Event]:
    """The events of a computation, which is known from its end on."""
    text = ""
    async with aclosing(compute()) as events:
        async for event in events:
            if isinstance(event, Piece):
                text += event.text
            elif isinstance(event, Finished):
                cache.put(key, KnownAnswer(text, event))
            yield event
