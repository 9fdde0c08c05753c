"""A token bucket: so many requests a second, with a burst. No clock of its own."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """`burst` requests at once, `rate_per_s` in the long run; begins full."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._filled_s = float("-inf")

    def take(self, now_s: float) -> float:
        """0 when the request may pass, else seconds until the next one may."""
        elapsed_s = max(0.0, now_s - self._filled_s)
        self._filled_s = max(now_s, self._filled_s)
        self._tokens = min(self._burst, self._tokens + elapsed_s * self._rate_per_s)
        # Sums of floats miss 1 by a hair; a whole token must not wait for the hair.
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._rate_per_s
        self._tokens -= 1
        return 0.0
