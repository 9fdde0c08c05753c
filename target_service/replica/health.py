"""Deep health: a small generation on an express lane says whether the engine makes progress.

The probe runs on a schedule of its own, at most one at a time, and what asks for health is answered
from what is known: asking is never slow and costs nothing. A busy engine whose users get tokens is
healthy even while the probe waits for a long step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from target_service.protocol.chat import ChatRequest, Message, Sampling
from target_service.replica.engine import Event, Failed, Finished
from target_service.replica.watchdog import ProgressWatch

__all__ = ["EngineHealth", "Prober"]

PROBE = ChatRequest((Message("user", "Hello"),), Sampling(max_tokens=1), stream=False, include_usage=False)


class EngineHealth:
    """What is known of the engine: when the probe under way began, how the last one ended, whether users starve."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._begun_s: float | None = None
        self._failure: str | None = None
        self._tokens = 0
        self._progressed_s = float("-inf")
        self._queue = ProgressWatch(stall_s / 2)

    def begin(self, now_s: float) -> bool:
        """Note that a probe begins; False while one is under way: then none may begin."""
        if self._begun_s is not None:
            return False
        self._begun_s = now_s
        return True

    def ended(self, failure: str | None) -> None:
        """The probe under way was answered, or failed with a sentence."""
        self._begun_s, self._failure = None, failure

    def problem(self, now_s: float, tokens: int, *, waiting: bool) -> str | None:
        """Why the engine is not healthy, or None; `tokens` were computed for users, `waiting` if some are queued."""
        starving_s = self._queue.look(now_s, tokens, busy=waiting)
        if tokens != self._tokens:
            self._tokens, self._progressed_s = tokens, now_s
        if self._begun_s is not None:
            silent_s = now_s - max(self._begun_s, self._progressed_s)
            if silent_s > self._stall_s:
                return f"engine: no progress for {silent_s:.1f} s"
        if starving_s > self._stall_s:
            return f"engine: users wait and got no token for {starving_s:.1f} s"
        return None if self._failure is None else f"engine: the probe failed: {self._failure}"


class _Generates(Protocol):
    @property
    def tokens_total(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def submit(self, request: ChatRequest, emit: Callable[[Event], None], *, express: bool = False) -> object: ...


class Prober:
    """Asks the engine for one token, again and again, on the express lane."""

    def __init__(self, engine: _Generates, health: EngineHealth, every_s: float) -> None:
        self._engine = engine
        self._health = health
        self._every_s = every_s

    async def run(self) -> None:
        """Probe until cancelled."""
        loop = asyncio.get_running_loop()

        def emit(event: Event) -> None:
            loop.call_soon_threadsafe(self.heard, event)

        while True:
            self.probe(time.monotonic(), emit)
            await asyncio.sleep(self._every_s)

    def probe(self, now_s: float, emit: Callable[[Event], None]) -> None:
        """Begin a probe unless one is under way."""
        # Asked here too: the progress of users between two questions would go unseen.
        self._health.problem(now_s, self._engine.tokens_total, waiting=self._engine.waiting > 0)
        if self._health.begin(now_s):
            self._engine.submit(PROBE, emit, express=True)

    def heard(self, event: Event) -> None:
        """Take an event of the probe."""
        if isinstance(event, Finished):
            self._health.ended(None)
        elif isinstance(event, Failed):
            self._health.ended(event.rejected.message)
