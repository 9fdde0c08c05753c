"""The only place that reads or spends time. A clock is passed in, so that the fake stack needs none."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "FakeClock", "SystemClock"]


class Clock(Protocol):
    """Monotonic time in seconds, and waiting for it."""

    def now(self) -> float:
        """Seconds on the host's monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Wait; nothing happens for 0 or less."""

    def wall(self) -> str:
        """Wall time, ISO 8601 in UTC; for a run's header only."""

    def wall_s(self) -> float:
        """Seconds since the epoch; only for placing the stamps of programs that know no other time."""


class SystemClock:
    """The host's clock. On Linux all processes of a host share it, so times of the target can be compared."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)

    def wall(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def wall_s(self) -> float:
        return time.time()


class FakeClock:
    """Time that passes only when somebody waits for it."""

    def __init__(self, begin_s: float = 1000.0) -> None:
        self._now_s = begin_s

    def now(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += max(0.0, seconds)

    def wall(self) -> str:
        return "2000-01-01T00:00:00+00:00"

    def wall_s(self) -> float:
        return 946_684_800.0 + self._now_s
