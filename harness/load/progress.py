"""How the load is going: a fold over the log's records, for the live display, `stop_if` and the warm-up.

Times are seconds from the run's origin, as in the log. Verdicts are never made from this: they come from the history.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.model.request import COUNTED_OUTSIDE_SLI, Outcome
from harness.record.request_log import Began, Damaged, Done, NotSent, Record, Sent, Stopped

__all__ = ["Finished", "LaneProgress", "Progress"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that ended."""

    done_s: float
    latency_s: float  # from sending: the plan with the scheduled times is not needed here
    ok: bool


@dataclass
class LaneProgress:
    """One lane so far."""

    begin_s: float | None = None
    sent: int = 0
    by_outcome: Counter[Outcome] = field(default_factory=Counter)
    open: dict[int, float] = field(default_factory=dict)  # index in flight -> when it was sent, in seconds
    recent: deque[Finished] = field(default_factory=deque)

    @property
    def ended(self) -> int:
        """Requests that ended, by whatever outcome."""
        return self.by_outcome.total()

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended."""
        return len(self.open)


class Progress:
    """Counts per lane, and what ended within the last `keep_s` seconds."""

    def __init__(self, keep_s: float = 60.0) -> None:
        self.keep_s = keep_s
        self.stopped = False  # the child ended in good order
        self.damage: list[str] = []
        self._lanes: dict[str, LaneProgress] = {}

    def lane(self, name: str) -> LaneProgress:
        """Of a lane that may not have begun."""
        return self._lanes.setdefault(name, LaneProgress())

    def add(self, records: Iterable[Record]) -> Progress:
        """Fold in new records, in the log's order."""
        for record in records:
            self._add(record)
        return self

    def finished(self, lane: str, now_s: float, for_s: float) -> Iterator[Finished]:
        """Requests of the SLI that ended in (now - for, now], the latest first."""
        if for_s > self.keep_s:
            raise ValueError(f"A window of {for_s:g} s was asked for, but only {self.keep_s:g} s are kept.")
        for request in reversed(self.lane(lane).recent):
            if request.done_s <= now_s - for_s:
                return
            if request.done_s <= now_s:
                yield request

    def open_for_s(self, lane: str, now_s: float) -> float:
        """How long the oldest request in flight has been so; 0: there is none."""
        return max((now_s - sent_s for sent_s in self.lane(lane).open.values()), default=0.0)

    def window(self, lane: str, now_s: float, for_s: float) -> tuple[int, int]:
        """(good, all) requests that ended in the window."""
        oks = [request.ok for request in self.finished(lane, now_s, for_s)]
        return sum(oks), len(oks)

    def success_rate(self, lane: str, now_s: float, for_s: float) -> float | None:
        """Share of good ones, 0 to 1; None: nothing ended in the window."""
        good, every = self.window(lane, now_s, for_s)
        return good / every if every else None

    def latencies_s(self, lane: str, now_s: float, for_s: float) -> list[float]:
        """Of the window's good requests, the latest first."""
        return [request.latency_s for request in self.finished(lane, now_s, for_s) if request.ok]

    def _add(self, record: Record) -> None:
        match record:
            case Sent(lane, index, sent_us):
                self.lane(lane).sent += 1
                self.lane(lane).open[index] = sent_us * 1e-6
            case Done():
                self._done(record)
            case Began(lane, begin_us):
                self.lane(lane).begin_s = begin_us * 1e-6
            case NotSent(lane, index):
                self.lane(lane).open.pop(index, None)
                self.lane(lane).by_outcome[Outcome.NOT_SENT] += 1
            case Stopped():
                self.stopped = True
            case Damaged(sentence):
                self.damage.append(sentence)

    def _done(self, record: Done) -> None:
        lane = self.lane(record.lane)
        lane.open.pop(record.index, None)
        lane.by_outcome[record.outcome] += 1
        if record.outcome in COUNTED_OUTSIDE_SLI:
            return
        done_s = record.done_us * 1e-6
        lane.recent.append(Finished(done_s, (record.done_us - record.sent_us) * 1e-6, record.outcome is Outcome.OK))
        while lane.recent[0].done_s <= done_s - self.keep_s:
            lane.recent.popleft()
