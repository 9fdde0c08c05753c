"""What came in and what became of it: users and probes apart."""

from __future__ import annotations

from collections import Counter

from target_service.protocol.counting import DistinctCounter

__all__ = ["Traffic"]


class Traffic:
    """Counts since the gateway's start; `answered` means a whole reply of a replica was relayed, and no error."""

    def __init__(self) -> None:
        self.open = 0
        self.retries_total = 0
        self.hedges_total = 0
        self.hedges_won_total = 0
        self._ids = DistinctCounter()
        self._received = 0
        self._probes = 0
        self._outcomes: Counter[str] = Counter()

    def received(self, identity: str, *, probe: bool) -> None:
        """One more request."""
        self.open += 1
        if probe:
            self._probes += 1
        else:
            self._received += 1
            self._ids.add(identity)

    def ended(self, outcome: str, *, probe: bool) -> None:
        """How a request ended; only users' requests count."""
        self.open -= 1
        if not probe:
            self._outcomes[outcome] += 1

    def body(self) -> dict[str, object]:
        """The counts as JSON keys."""
        return {
            "received_distinct": self._ids.count,
            "received_total": self._received,
            "probe_total": self._probes,
            "answered_total": self._outcomes["answered"],
            "no_replica_total": self._outcomes["no_replica"],
            "retries_total": self.retries_total,
            "hedges_total": self.hedges_total,
            "hedges_won_total": self.hedges_won_total,
            "outcomes": dict(self._outcomes),
        }
