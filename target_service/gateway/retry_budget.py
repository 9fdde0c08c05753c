"""How many requests may be tried again, and after what wait. No clock of its own.

Every request pays a share of a retry in; every retry takes a whole one out. So an outage, in
which everything fails, adds at most that share to the load of what is left.
"""

from __future__ import annotations

import random

__all__ = ["RetryBudget", "backoff_s"]

# What is saved in good times is not all spent in the first second of a bad one.
SAVED_MAX = 10.0
# Ten tenths are a little less than one.
ROUNDING = 1e-9


class RetryBudget:
    """At most `share` of all requests; begins empty, so that it holds from the first one."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = 0.0

    def pay_in(self) -> None:
        """One more request."""
        self._saved = min(self._saved + self._share, SAVED_MAX)

    def take(self) -> bool:
        """Whether there may be one more retry; it is counted."""
        if self._saved < 1 - ROUNDING:
            return False
        self._saved = max(0.0, self._saved - 1)
        return True

    def give_back(self) -> None:
        """What was taken was not needed."""
        self._saved += 1


def backoff_s(retry: int, longest_s: float, rng: random.Random) -> float:
    """The wait before retry 1, 2, ...: anything up to `longest_s`, doubled each time, so that retries do not meet."""
    return rng.uniform(0.0, longest_s * 2.0 ** (retry - 1))
