"""Who serves a try, and what its end says of the replica. No I/O, no clock of its own."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker
from target_service.gateway.evidence import Evidence
from target_service.gateway.outlier import OutlierDetector
from target_service.gateway.routing import Candidate, Strategy
from target_service.gateway.settings import ReplicaAddress

__all__ = ["Dispatcher", "Slot"]


@dataclass(frozen=True)
class Slot:
    """A try's place at a replica, from `begin` to `end`; `term` is between two of its re-admissions."""

    replica: str
    address: ReplicaAddress
    incarnation: str | None
    term: int
    permit: int


class Dispatcher:
    """Admission says who may serve, breakers who can, the strategy who does."""

    def __init__(
        self,
        replicas: Sequence[ReplicaAddress],
        admission: Admission,
        strategy: Strategy,
        *,
        breakers: dict[str, Breaker],
        outliers: OutlierDetector | None,
    ) -> None:
        self.breakers = breakers
        self._replicas: dict[str, ReplicaAddress] = {}
        self._admission = admission
        self._strategy = strategy
        self._outliers = outliers
        self._numbers = count()
        self._terms: dict[str, int] = {}
        for replica in replicas:
            self.add(replica, breakers.get(replica.name))

    @property
    def replicas(self) -> Mapping[str, ReplicaAddress]:
        """Where each replica is."""
        return self._replicas

    def add(self, replica: ReplicaAddress, breaker: Breaker | None) -> None:
        """One more replica, which admission knows."""
        self._replicas[replica.name] = replica
        self._terms[replica.name] = next(self._numbers)
        if breaker is not None:
            self.breakers[replica.name] = breaker

    def remove(self, name: str) -> None:
        """One less; tries that are under way there end without a trace."""
        del self._replicas[name], self._terms[name]
        self.breakers.pop(name, None)
        if self._outliers is not None:
            self._outliers.forget(name)

    def begin(self, now_s: float, tried: Container[str] = (), *, again: bool = True) -> Slot | None:
        """A place for one try, at a replica that was not tried if there is one, else at any if `again`."""
        able = [name for name in self._admission.admitted if self._allows(name, now_s)]
        pool = [name for name in able if name not in tried] or (able if again else [])
        if not pool:
            return None
        name = self._strategy.choose([self._candidate(each) for each in pool])
        self._admission.routed(name, now_s)
        permit = self.breakers[name].begin() if name in self.breakers else 0
        incarnation = self._admission.standings[name].incarnation
        return Slot(name, self._replicas[name], incarnation, self._terms[name], permit)

    def end(self, slot: Slot, evidence: Evidence, now_s: float) -> None:
        """A try is over."""
        name = slot.replica
        # By identity: a replica that went and came again is another one.
        if self._replicas.get(name) is not slot.address:
            return
        self._admission.left(name)
        if name in self.breakers:
            self.breakers[name].end(slot.permit, evidence, now_s)
        # What began before the replica was isolated says nothing of what was admitted since.
        if self._outliers is None or slot.term != self._terms[name]:
            return
        if self._outliers.note(name, evidence):
            self._admission.eject(name, self._outliers.failures(name))

    def restarted(self, slot: Slot, incarnation: str) -> None:
        """An answer came from another process than the one that was verified."""
        if self._replicas.get(slot.replica) is slot.address:
            self._admission.restarted(slot.replica, slot.incarnation, incarnation)

    def not_ready(self, slot: Slot) -> None:
        """It says itself that it takes no users."""
        if self._replicas.get(slot.replica) is slot.address:
            self._admission.refused(slot.replica, slot.incarnation)

    def readmitted(self, name: str) -> None:
        """Golden answers are better evidence than what was counted before them."""
        self._terms[name] = next(self._numbers)
        if self._outliers is not None:
            self._outliers.forget(name)
        if name in self.breakers:
            self.breakers[name].close("readmitted")

    def retry_after_s(self, now_s: float) -> int | None:
        """Whole seconds until a breaker lets a request through again; None when no replica is admitted."""
        waits_s = [self.breakers[name].wait_s(now_s) for name in self._admission.admitted if name in self.breakers]
        return max(1, math.ceil(min(waits_s))) if waits_s else None

    def _allows(self, name: str, now_s: float) -> bool:
        return name not in self.breakers or self.breakers[name].allows(now_s)

    def _candidate(self, name: str) -> Candidate:
        replica = self._replicas[name]
        return Candidate(
            name,
            weight=replica.weight,
            backup=replica.backup,
            active=name == self._admission.active,
            open_requests=self._admission.standings[name].open_requests,
        )
