"""Let `rate` KB/s through (1 KB = 1,000 bytes), per connection, in pieces of 100 ms. Rate 0 lets nothing through."""

from __future__ import annotations

from typing import ClassVar

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]

CATCH_UP_S = 0.1  # a late bell is made good; a receiver that did not read is not


class Bandwidth(Stage):
    """Like a wire: the next byte starts when the one before has passed."""

    __slots__ = ("due", "size")
    capacity: ClassVar[int] = 2  # the next piece is there when the wire gets free

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.due = 0.0  # when what is on the wire has passed
        self.size = 0  # bytes on the wire; 0: none

    def step(self) -> bool:
        piece, rate, time = self.inbox[0], self.number("rate"), now()
        if piece.end:
            self.pass_on()
            return True
        if rate <= 0:
            return False
        if not self.size:
            self.size = min(len(piece.data), rate * 100)
            self.due = max(self.due, piece.at, time - CATCH_UP_S) + self.size / (rate * 1000)
        if self.due > time:
            self.wake_at(self.due)
            return False
        whole = self.size == len(piece.data)
        self.after.put(self.inbox.pop(0) if whole else piece.cut(self.size))
        self.size = 0
        return True

    def interrupt(self) -> None:
        self.size = 0
        if self.inbox and self.active and not self.inbox[0].end:
            self.pass_on()  # nothing is dropped: the piece that is held goes at once


def _check(attributes: Attributes) -> str | None:
    return "rate must not be negative" if int(attributes["rate"]) < 0 else None


KIND = Kind("bandwidth", Bandwidth, {"rate": 0}, _check)
