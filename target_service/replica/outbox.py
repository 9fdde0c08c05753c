"""What an engine's process has to say and has not said yet: bounded, taken in batches by one writer."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Outbox"]


class Outbox:
    """May be used from any thread. Full, it holds up who puts: an engine waits for a server that does not read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: list[Any] = []
        self._changed = threading.Condition()
        self._closed = False

    def put(self, message: Any) -> None:
        """Add a message; waits while there are `limit`. After `close` nothing is kept."""
        with self._changed:
            while len(self._messages) >= self._limit and not self._closed:
                self._changed.wait()
            if not self._closed:
                self._messages.append(message)
                self._changed.notify_all()

    def take(self, within_s: float) -> list[Any] | None:
        """All messages, at the latest after `within_s`, then maybe none; None once it is closed and empty."""
        with self._changed:
            if not (self._messages or self._closed):
                self._changed.wait(within_s)
            taken, self._messages = self._messages, []
            self._changed.notify_all()
            return None if self._closed and not taken else taken

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Nothing is added any more; what is there can be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
