"""How requests are batched: who of those that wait joins those that run, and when."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from target_service.replica.engine import Job
    from target_service.replica.settings import EngineSettings

__all__ = ["Batching", "make_batching"]


class Batching(Protocol):
    """Asked by the engine's thread before each round."""

    def take(self, waiting: deque[Job], active: int, places: int, now_s: float) -> list[Job]:
        """Remove from `waiting`, and return, the jobs that begin now; `places` are free, `active` jobs run."""

    def flush_s(self, waiting: deque[Job]) -> float:
        """When those who wait would begin though no other comes; infinity if they would not."""


def make_batching(settings: EngineSettings) -> Batching:
    """The batching that the settings name."""
    match settings.batching:
        case "continuous":
            return _Continuous()
        case "one-by-one":
            return _OneByOne()
        case "static":
            return _Static(settings.batch_max, settings.batch_wait_s)
        case "defective":
            return _NeverCleared(settings.batch_max)


def _first(waiting: deque[Job], count: int) -> list[Job]:
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]


class _Continuous:
    """Whoever waits joins at the next token, as long as there is a place."""

    def take(self, waiting: deque[Job], active: int, places: int, now_s: float) -> list[Job]:
        return _first(waiting, places)

    def flush_s(self, waiting: deque[Job]) -> float:
        return math.inf


class _OneByOne(_Continuous):
    """One request at a time, to its end: no batching."""

    def take(self, waiting: deque[Job], active: int, places: int, now_s: float) -> list[Job]:
        return [] if active else _first(waiting, min(places, 1))


class _Static:
    """A batch begins when `batch_max` wait or the oldest waited for `wait_s`; nobody joins before it has ended."""

    def __init__(self, batch_max: int, wait_s: float) -> None:
        self._batch_max = batch_max
        self._wait_s = wait_s

    def take(self, waiting: deque[Job], active: int, places: int, now_s: float) -> list[Job]:
        if active or not waiting or (len(waiting) < self._batch_max and now_s < self.flush_s(waiting)):
            return []
        return _first(waiting, min(places, self._batch_max))

    def flush_s(self, waiting: deque[Job]) -> float:
        return waiting[0].queued_s + self._wait_s if waiting else math.inf


class _NeverCleared:
    """A defect that was found in the wild: a batch begins when it has `batch_max` requests, at no time else, and is
    never cleared. So a lone request waits for ever, and after the first batch every request runs all again that
    came before it, and answers them again. Nor does it know a limit of places."""

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._batch: list[Job] = []

    def take(self, waiting: deque[Job], active: int, places: int, now_s: float) -> list[Job]:
        if active or not waiting or len(self._batch) + len(waiting) < self._batch_max:
            return []
        # Their clients left when they were answered, so that is not looked at again.
        again = [replace(job, cancelled=threading.Event(), generation=None, stream=None) for job in self._batch]
        joining = _first(waiting, max(1, self._batch_max - len(self._batch)))
        self._batch += joining
        return again + joining

    def flush_s(self, waiting: deque[Job]) -> float:
        return math.inf
