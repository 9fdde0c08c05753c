"""How requests ended, counted once for every set of metric names."""

from __future__ import annotations

from collections import Counter

from target_service.observability.naming import Sample

__all__ = ["Tally"]

LEFT = "cancelled"


class Tally:
    """Calls, their ends and their times. `good` is the outcome of a call that was answered whole."""

    def __init__(self, good: str) -> None:
        self._good = good
        self.calls = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.last_s: float | None = None
        self._good_total_s = 0.0

    def began(self) -> None:
        """One more call."""
        self.calls += 1

    def ended(self, outcome: str, total_s: float, *, probe: bool) -> None:
        """How it ended, and after how long."""
        self.outcomes[outcome, "probe" if probe else "user"] += 1
        self.last_s = total_s
        if outcome == self._good:
            self._good_total_s += total_s

    def samples(self) -> dict[str, float | list[Sample] | None]:
        """Shares and means are None before there is anything to share."""
        ended = self.outcomes.total()
        good = sum(count for (outcome, _), count in self.outcomes.items() if outcome == self._good)
        left = sum(count for (outcome, _), count in self.outcomes.items() if outcome == LEFT)
        return {
            "requests": [Sample(count, labels) for labels, count in self.outcomes.items()],
            "calls": self.calls,
            "successes": good,
            "errors": ended - good - left,
            "open": self.calls - ended,
            "success_share": good / ended if ended else None,
            "mean_s": self._good_total_s / good if good else None,
            "last_s": self.last_s,
        }
