"""Strategies: which of the replicas that can take a request gets it. Pure, and without chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["STRATEGIES", "ActiveStandby", "Candidate", "LeastConnections", "RoundRobin", "Strategy", "Weighted"]


@dataclass(frozen=True)
class Candidate:
    """A replica that can take the request."""

    name: str
    weight: int = 1
    backup: bool = False
    active: bool = False
    open_requests: int = 0


class Strategy(Protocol):
    """Chooses one of at least one candidate, which come in order of preference."""

    def choose(self, candidates: Sequence[Candidate]) -> str:
        """The name of the one that gets the request."""
        ...


class ActiveStandby:
    """The active one; the next one while the active one cannot take the request."""

    def choose(self, candidates: Sequence[Candidate]) -> str:
        return next((each.name for each in candidates if each.active), candidates[0].name)


class _Turns:
    """Smooth weighted round robin, as in nginx: 3 and 1 are served a a b a, not a a a b."""

    def __init__(self) -> None:
        self._credit: dict[str, int] = {}

    def next(self, weights: Mapping[str, int]) -> str:
        for name, weight in weights.items():
            self._credit[name] = self._credit.get(name, 0) + weight
        chosen = max(weights, key=lambda name: self._credit[name])
        self._credit[chosen] -= sum(weights.values())
        return chosen


class RoundRobin:
    """Each in turn."""

    def __init__(self) -> None:
        self._turns = _Turns()

    def choose(self, candidates: Sequence[Candidate]) -> str:
        return self._turns.next({each.name: 1 for each in _no_backup_unless_alone(candidates)})


class Weighted:
    """Each in turn, in proportion to its weight."""

    def __init__(self) -> None:
        self._turns = _Turns()

    def choose(self, candidates: Sequence[Candidate]) -> str:
        return self._turns.next({each.name: each.weight for each in _no_backup_unless_alone(candidates)})


class LeastConnections:
    """The one with the fewest open requests for its weight; among equals in turn."""

    def __init__(self) -> None:
        self._turns = _Turns()

    def choose(self, candidates: Sequence[Candidate]) -> str:
        first = _no_backup_unless_alone(candidates)
        fewest = min(each.open_requests / each.weight for each in first)
        return self._turns.next(
            {each.name: each.weight for each in first if each.open_requests / each.weight == fewest}
        )


STRATEGIES: Mapping[str, Callable[[], Strategy]] = {
    "active-standby": ActiveStandby,
    "round-robin": RoundRobin,
    "weighted": Weighted,
    "least-connections": LeastConnections,
}


def _no_backup_unless_alone(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    return [each for each in candidates if not each.backup] or candidates
