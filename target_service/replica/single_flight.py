"""One computation for all who ask the same at a time: each of them gets its events as they come.

The computation is nobody's: whoever asked first may leave, and the others go on. When the last one leaves, it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

__all__ = ["Flight"]

E = TypeVar("E")


class Flight(Generic[E]):
    """Begins at once, in a task of its own; `landed` is called once, when nobody can join any more."""

    def __init__(self, compute: Callable[[], AsyncGenerator[E]], landed: Callable[[], None]) -> None:
        self._events: list[E] = []
        self._passengers = 0
        self._landed: Callable[[], None] | None = landed
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(compute))
        self._task.add_done_callback(self._over)

    async def follow(self) -> AsyncGenerator[E]:
        """All events from the first one on; raises what the computation raised. Closing it is leaving."""
        self._passengers += 1
        try:
            seen = 0
            while True:
                # Looked at before the events: what came with the end is not missed.
                over, news = self._task.done(), self._news
                while seen < len(self._events):
                    seen += 1
                    yield self._events[seen - 1]
                if over:
                    self._task.result()
                    return
                if not news.is_set():
                    await news.wait()
        finally:
            self._passengers -= 1
            if not self._passengers:
                self._close()
                self._task.cancel()

    async def _run(self, compute: Callable[[], AsyncGenerator[E]]) -> None:
        try:
            async with aclosing(compute()) as events:
                async for event in events:
                    self._events.append(event)
                    self._wake()
        finally:
            self._close()

    def _over(self, task: asyncio.Task[None]) -> None:
        # Looked at here too: those who should have heard of it may all have left.
        if not task.cancelled():
            task.exception()
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _close(self) -> None:
        landed, self._landed = self._landed, None
        if landed is not None:
            landed()
