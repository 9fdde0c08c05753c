"""A token bucket: so many requests a second, with a burst of one second's worth."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Starts full. The clock is the caller's."""

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, rate_per_s)
        self._tokens = self._burst
        self._filled_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token and return 0; without one, take nothing and return the seconds until there is one."""
        grown = (now_s - self._filled_s) * self._rate_per_s
        self._tokens, self._filled_s = min(self._burst, self._tokens + grown), now_s
        # Sums of floats miss 1 by a hair; a whole token must not wait for the hair.
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._rate_per_s
        self._tokens -= 1
        return 0.0
