"""Delay the end of the data by `delay` ms; the data is not touched."""

from __future__ import annotations

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Kind, Toxic

__all__ = ["KIND"]


class SlowClose(Stage):
    """Counts from when the end arrives here."""

    __slots__ = ("due",)

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.due: float | None = None

    def step(self) -> bool:
        if self.inbox[0].end:
            if self.due is None:
                self.due = now() + self.number("delay") / 1000
            if self.due > now():
                self.wake_at(self.due)
                return False
        self.pass_on()
        return True

    def interrupt(self) -> None:
        self.due = None


KIND = Kind("slow_close", SlowClose, {"delay": 0})
