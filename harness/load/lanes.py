"""Walk the lanes' schedules: one greenlet for each arrival, at its time, whatever became of the others (child only)."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.load.greenlets import Cancelled, Greenlet, current, sleep, spawn
from harness.load.log_writer import LogWriter
from harness.load.sender import Sender
from harness.load.spec import LoadSpec

__all__ = ["Lanes"]


class Lanes:
    """`on_done` is called with a lane's name when all of its requests have ended."""

    def __init__(self, spec: LoadSpec, log: LogWriter, on_done: Callable[[str], None]) -> None:
        self._spec = spec
        self._log = log
        self._on_done = on_done
        self._sender = Sender(spec, log)
        self._walkers: dict[str, Greenlet] = {}
        self._in_flight: dict[str, set[Greenlet]] = {}
        self._over: set[str] = set()  # no further arrivals

    @property
    def in_flight(self) -> int:
        """Requests that have not ended, over all lanes."""
        return sum(len(greenlets) for greenlets in self._in_flight.values())

    def begin(self, lane: str, at_s: float) -> None:
        """The lane's schedule counts from `at_s` on the monotonic clock. A lane begins once."""
        if lane in self._walkers:
            return
        self._in_flight[lane] = set()
        self._log.began(lane, at_s)
        self._walkers[lane] = spawn(self._walk, lane, at_s)

    def end(self, lane: str) -> None:
        """Send no more of it; what is in flight goes on."""
        if lane in self._walkers and lane not in self._over:
            self._walkers[lane].kill(Cancelled, block=False)
            self._finish(lane)

    def end_all(self) -> None:
        """Send nothing more."""
        for lane in self._walkers:
            self.end(lane)

    def cancel_all(self) -> None:
        """Give up what is in flight; each request is written down as such."""
        for greenlets in self._in_flight.values():
            for greenlet in tuple(greenlets):
                greenlet.kill(Cancelled, block=False)

    def _walk(self, lane: str, at_s: float) -> None:
        try:
            for index, offset_us in enumerate(self._spec.lanes[lane].scheduled_us):
                due_s = at_s + offset_us * 1e-6
                while (wait_s := due_s - time.monotonic()) > 0:  # a timer may fire a moment early
                    sleep(wait_s)
                self._in_flight[lane].add(spawn(self._one, lane, index, due_s))
        except Cancelled:
            return
        self._finish(lane)

    def _one(self, lane: str, index: int, due_s: float) -> None:
        try:
            self._sender.send(lane, index, due_s)
        finally:
            self._in_flight[lane].discard(current())
            self._report(lane)

    def _finish(self, lane: str) -> None:
        self._over.add(lane)
        self._report(lane)

    def _report(self, lane: str) -> None:
        if lane in self._over and not self._in_flight[lane]:
            self._on_done(lane)
