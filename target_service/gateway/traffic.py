"""What came in and what became of it: users and probes apart."""

from __future__ import annotations

from collections import Counter

from target_service.protocol.counting import DistinctCounter

__all__ = ["Traffic"]


class Traffic:
    """Counts since the gateway's start; `answered` means a whole reply of a replica was relayed."""

    def __init__(self) -> None:
        self._ids = DistinctCounter()
        self._received = 0
        self._probes = 0
        self._outcomes: Counter[str] = Counter()

    def received(self, identity: str, *, probe: bool) -> None:
        """One more request."""
        if probe:
            self._probes += 1
        else:
            self._received += 1
            self._ids.add(identity)

    def ended(self, outcome: str, *, probe: bool) -> None:
        """How a request ended; only users' requests count."""
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
            "outcomes": dict(self._outcomes),
        }
