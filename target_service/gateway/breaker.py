"""Circuit breaker of one replica. No I/O, no clock of its own.

    closed --`failures_max` failures in a row--> open --`open_s`--> half-open
    half-open --`probes` successes--> closed
    half-open --a failure--> open

Half-open lets `probes` requests through at once and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from target_service.gateway.events import EventLog
from target_service.gateway.evidence import Evidence

__all__ = ["Breaker", "BreakerRules", "BreakerState"]


class BreakerState(Enum):
    """Whether requests pass."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True)
class BreakerRules:
    """When a breaker opens, for how long, and what closes it."""

    failures_max: int = 5
    open_s: float = 5.0
    probes: int = 1


class Breaker:
    """Asked before every request to its replica, told how each ended."""

    def __init__(self, name: str, events: EventLog, rules: BreakerRules) -> None:
        self.state = BreakerState.CLOSED
        self.failures = 0
        self.last_failure_s: float | None = None
        self._name = name
        self._events = events
        self._rules = rules
        self._opened_s = float("-inf")
        self._probing = 0
        self._probes_good = 0
        self._permit = 0

    def allows(self, now_s: float) -> bool:
        """Whether one more request may begin now."""
        if self.state is BreakerState.HALF_OPEN:
            return self._probing + self._probes_good < self._rules.probes
        return self.state is BreakerState.CLOSED or self.wait_s(now_s) == 0

    def wait_s(self, now_s: float) -> float:
        """Until an open breaker lets requests probe; 0 in every other state."""
        if self.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._opened_s + self._rules.open_s - now_s)

    def begin(self) -> int:
        """A request that is allowed begins; returns the permit to end it with."""
        if self.state is BreakerState.OPEN:
            self._enter(BreakerState.HALF_OPEN, "breaker_half_open")
        if self.state is BreakerState.HALF_OPEN:
            self._probing += 1
        return self._permit

    def end(self, permit: int, evidence: Evidence, now_s: float) -> None:
        """A request ended."""
        # It began in an earlier state: what it found is what changed that state, or older still.
        if permit != self._permit:
            return
        half_open = self.state is BreakerState.HALF_OPEN
        self._probing -= half_open
        if evidence is Evidence.FAILED:
            self.failures += 1
            self.last_failure_s = now_s
            if half_open or self.failures >= self._rules.failures_max:
                self._opened_s = now_s
                self._enter(BreakerState.OPEN, "breaker_opened")
        elif evidence is Evidence.GOOD:
            self._probes_good += half_open
            if not half_open:
                self.failures = 0
            elif self._probes_good >= self._rules.probes:
                self.close("probes succeeded")

    def close(self, reason: str) -> None:
        """Let everything pass, on evidence that is better than the breaker's own."""
        self.failures = 0
        if self.state is not BreakerState.CLOSED:
            self._enter(BreakerState.CLOSED, "breaker_closed", reason=reason)

    def body(self) -> dict[str, object]:
        """The state as JSON keys."""
        return {"state": self.state.value, "failures": self.failures, "last_failure_s": self.last_failure_s}

    def _enter(self, state: BreakerState, kind: str, **details: object) -> None:
        self.state = state
        self._permit += 1
        self._probing = self._probes_good = 0
        self._events.add(kind, self._name, failures=self.failures, **details)
