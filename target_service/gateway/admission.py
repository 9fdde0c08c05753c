"""Who gets traffic: a state machine fed with beats and golden answers. No I/O, no clock of its own.

    not admitted --beat green--> green --golden prompts right--> admitted
    admitted --`missed_max` missed beats, another incarnation, ejected, or held--> not admitted
    held --released, restarted (another incarnation), or for too long--> not held

Every replica begins not admitted, and one that is held stays so. A missed beat, another incarnation, or a hold
voids a verification under way: its `ticket` is no longer the current one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from target_service.gateway.events import EventLog

__all__ = ["Admission", "Standing"]


@dataclass
class Standing:
    """What the gateway knows about one replica; times are monotonic seconds."""

    admitted: bool = False
    ready: bool = False
    missed: int = 0
    reason: str | None = None
    incarnation: str | None = None
    routed_total: int = 0
    last_routed_s: float | None = None
    open_requests: int = 0
    ejected_total: int = 0
    newest_beat_s: float = float("-inf")
    green_since_isolation: bool = False
    ticket: int = 0
    backup: bool = False
    held_until_s: float | None = None
    failed_detector: tuple[str, str] | None = None  # the detector that keeps it from being ready, and its words


class Admission:
    """Standings of all replicas, in order of preference, and which is active: none unless `active_standby`."""

    def __init__(
        self,
        names: Sequence[str],
        events: EventLog,
        *,
        missed_max: int,
        failback: bool,
        active_standby: bool = True,
    ) -> None:
        self.standings = {name: Standing() for name in names}
        self.active: str | None = None
        self._events = events
        self._missed_max = missed_max
        self._failback = failback
        self._active_standby = active_standby

    @property
    def admitted(self) -> list[str]:
        """Who may get traffic, in order of preference."""
        return [name for name, standing in self.standings.items() if standing.admitted]

    def add(self, name: str, *, backup: bool = False) -> None:
        """One more replica, not admitted; preferred to backups and to nobody else."""
        self.standings[name] = Standing(backup=backup)
        self.standings = dict(sorted(self.standings.items(), key=lambda item: item[1].backup))

    def remove(self, name: str, reason: str) -> None:
        """A replica is no longer one of this gateway's."""
        if self.standings[name].admitted:
            self._isolate(name, reason)
        del self.standings[name]

    def hold(self, name: str, reason: str, now_s: float, for_s: float) -> bool:
        """Isolate a replica until it is released or restarted, or for so long; whether it was admitted."""
        standing = self.standings[name]
        was, standing.held_until_s = standing.admitted, now_s + for_s
        standing.ticket += 1
        self._events.add("held", name, reason=reason, for_s=for_s)
        if was:
            self._isolate(name, f"held: {reason}")
        return was

    def release(self, name: str, reason: str) -> bool:
        """End a hold; golden answers come first all the same. False when there is none."""
        standing = self.standings[name]
        if standing.held_until_s is None:
            return False
        standing.held_until_s = None
        self._events.add("released", name, reason=reason)
        return True

    def beat_ok(self, name: str, begin_s: float, incarnation: str | None) -> int | None:
        """A green /ready. Returns a ticket when the replica must now be verified, else None."""
        standing = self.standings[name]
        # Beats overlap when one hangs; what an older one found is no news.
        if begin_s < standing.newest_beat_s:
            return None
        standing.newest_beat_s = begin_s
        if standing.missed:
            self._events.add("beat_ok_again", name, missed=standing.missed, beat_begin_s=begin_s)
        standing.ready, standing.missed, standing.reason = True, 0, None
        standing.failed_detector = None
        if incarnation != standing.incarnation:
            before, standing.incarnation = standing.incarnation, incarnation
            standing.ticket += 1
            if standing.admitted:
                self._isolate(name, f"incarnation changed from {before} to {incarnation}")
            if before is not None:
                self.release(name, "restarted")
        if standing.held_until_s is not None and begin_s >= standing.held_until_s:
            self.release(name, "held for too long")
        if standing.admitted or standing.held_until_s is not None:
            return None
        if not standing.green_since_isolation:
            standing.green_since_isolation = True
            self._events.add("ready_green", name, beat_begin_s=begin_s, incarnation=incarnation)
        return standing.ticket

    def beat_missed(self, name: str, begin_s: float, reason: str) -> None:
        """A beat without a green /ready; `reason` says what came instead."""
        standing = self.standings[name]
        if begin_s < standing.newest_beat_s:
            return
        standing.newest_beat_s = begin_s
        standing.ready = False
        standing.missed += 1
        standing.ticket += 1
        # A replica that stays away would fill the log with one thing said over and over.
        if standing.missed <= self._missed_max or reason != standing.reason:
            self._events.add("beat_missed", name, missed=standing.missed, reason=reason, beat_begin_s=begin_s)
        standing.reason = reason
        if standing.admitted and standing.missed >= self._missed_max:
            self._isolate(name, f"{standing.missed} missed beats, the last one: {reason}")

    def integrity_failed(self, name: str, detector: str, reason: str, detected_s: float | None) -> None:
        """A replica says which of its detectors found its model bad, and when: told once for each finding."""
        standing = self.standings[name]
        if standing.failed_detector != (detector, reason):
            standing.failed_detector = (detector, reason)
            self._events.add("integrity_failed", name, detector=detector, reason=reason, detected_s=detected_s)

    def verified(self, name: str, ticket: int) -> bool:
        """All golden answers were right; admits unless the replica changed since the ticket."""
        standing = self.standings[name]
        if ticket != standing.ticket or not standing.ready or standing.admitted:
            return False
        assert standing.held_until_s is None, "a hold takes a new ticket"
        standing.admitted = True
        self._events.add("readmitted", name, incarnation=standing.incarnation)
        self._choose()
        return True

    def golden_failed(self, name: str, details: dict[str, Any]) -> None:
        """A golden answer was wrong or missing; the next green beat asks again."""
        self._events.add("golden_failed", name, **details)

    def restarted(self, name: str, verified: str | None, seen: str) -> None:
        """A request found another incarnation than the verified one, sooner than a beat did."""
        standing = self.standings[name]
        if standing.admitted and standing.incarnation == verified:
            standing.ticket += 1
            self._isolate(name, f"a request met incarnation {seen}, not {verified}")

    def refused(self, name: str, incarnation: str | None) -> None:
        """A request was told that the replica is not ready, sooner than a beat was."""
        standing = self.standings[name]
        if standing.admitted and standing.incarnation == incarnation:
            standing.ticket += 1
            self._isolate(name, "a request was told that it is not ready")

    def eject(self, name: str, failures: int) -> bool:
        """Isolate a replica that fails its users; the last one stays, for it is all that they have."""
        standing = self.standings[name]
        if self.admitted == [name] or not standing.admitted:
            return False
        standing.ejected_total += 1
        self._events.add("ejected", name, failures=failures)
        self._isolate(name, f"ejected after {failures} failures in a row")
        return True

    def routed(self, name: str, now_s: float) -> None:
        """A request goes to a replica; `left` says when it is over."""
        standing = self.standings[name]
        standing.routed_total += 1
        standing.open_requests += 1
        standing.last_routed_s = now_s

    def left(self, name: str) -> None:
        """A request at a replica is over, however it ended."""
        self.standings[name].open_requests -= 1

    def _isolate(self, name: str, reason: str) -> None:
        standing = self.standings[name]
        standing.admitted = False
        standing.green_since_isolation = False
        self._events.add(
            "isolated",
            name,
            reason=reason,
            missed=standing.missed,
            last_routed_s=standing.last_routed_s,
        )
        self._choose()

    def _choose(self) -> None:
        if not self._active_standby:
            return
        keep = self.active is not None and self.standings[self.active].admitted
        if keep and not self._failback:
            return
        chosen = next(iter(self.admitted), None)
        if chosen != self.active:
            before, self.active = self.active, chosen
            self._events.add("active_changed", chosen, **{"from": before, "to": chosen})
