"""The recorder: what happened, written as it happens. A recorder that cannot record stops the run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from harness.model.errors import RunBroken
from harness.model.event import Event
from harness.record.append import AppendLog
from harness.record.clock import Clock

__all__ = ["Recorder"]


class Recorder:
    """Appends events with times relative to the run's origin, and tells listeners (the live display)."""

    def __init__(self, log: AppendLog, clock: Clock, origin_monotonic_s: float) -> None:
        self._log = log
        self._clock = clock
        self.origin_monotonic_s = origin_monotonic_s
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event that is recorded from now on."""
        self._listeners.append(listener)

    def now_s(self) -> float:
        """Seconds since the run's origin."""
        return self._clock.now() - self.origin_monotonic_s

    def event(self, kind: str, /, **fields: Any) -> Event:
        """Record something that happens now."""
        return self.add(Event(self.now_s(), kind, fields))

    def add(self, event: Event) -> Event:
        """Record something whose time is known. Raises RunBroken when it cannot be written."""
        with self._lock:
            try:
                self._log.write({"at_s": round(event.at_s, 6), "kind": event.kind, **event.fields})
            except (OSError, ValueError, TypeError) as error:
                raise RunBroken(f"{self._log.path}: cannot record {event.kind} ({error}); is the disk full?") from error
        for listener in list(self._listeners):
            try:
                listener(event)
            except OSError:  # a display that has gone is no reason to leave a fault in
                self._listeners.remove(listener)
        return event

    def close(self) -> None:
        self._log.close()
