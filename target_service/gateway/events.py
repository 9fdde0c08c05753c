"""What happened in a gateway, numbered, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["EventLog"]


class EventLog:
    """The last `kept` events; `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float], kept: int = 10_000) -> None:
        self._clock = clock
        self._events: deque[dict[str, Any]] = deque(maxlen=kept)
        self._seq = 0

    def add(self, kind: str, replica: str | None, **details: object) -> None:
        """Record an event now."""
        self._seq += 1
        head = {"seq": self._seq, "at_s": self._clock(), "kind": kind, "replica": replica}
        self._events.append({**head, **details})

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Events with a greater number than `seq`, oldest first."""
        return [event for event in self._events if event["seq"] > seq]
