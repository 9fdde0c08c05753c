"""How often something may be started again: so many times in a window, then no more. Pure."""

from __future__ import annotations

from collections import deque

__all__ = ["RestartBudget"]


class RestartBudget:
    """At most `restarts_max` in any `window_s`: what dies faster than that would die for ever."""

    def __init__(self, restarts_max: int, window_s: float) -> None:
        self._max = restarts_max
        self._window_s = window_s
        self._taken_s: deque[float] = deque()

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed now; if so, it counts."""
        while self._taken_s and self._taken_s[0] <= now_s - self._window_s:
            self._taken_s.popleft()
        if len(self._taken_s) >= self._max:
            return False
        self._taken_s.append(now_s)
        return True
