"""Delay data by `latency` ± `jitter` ms. Order is kept; the end of the data is not delayed, but stays behind it."""

from __future__ import annotations

from typing import ClassVar

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Kind, Toxic

__all__ = ["KIND"]


class Latency(Stage):
    """Counts from when a piece was read, so that the delay does not limit the bandwidth."""

    __slots__ = ("due",)
    capacity: ClassVar[int] = 1024

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.due: float | None = None  # of the first piece

    def step(self) -> bool:
        piece = self.inbox[0]
        if piece.end:
            self.pass_on()
            return True
        if self.due is None:
            self.due = piece.at + self._delay_s()
        if self.due > now():
            self.wake_at(self.due)
            return False
        piece.at = max(piece.at, self.due)  # a second one counts from here: two add up
        self.due = None
        self.pass_on()
        return True

    def interrupt(self) -> None:
        if self.due is not None:  # the piece that is held goes at once
            self.due = None
            self.pass_on()

    def _delay_s(self) -> float:
        latency, jitter = self.number("latency"), self.number("jitter")
        if jitter > 0:
            return (latency + self.draws.between(-jitter, jitter)) / 1000
        return latency / 1000


KIND = Kind("latency", Latency, {"latency": 0, "jitter": 0})
