"""Cut data into pieces of `average_size` ± `size_variation` bytes and wait `delay` µs after each."""

from __future__ import annotations

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]


AT_ONCE = 64  # slices without a delay, then other connections have a turn


class Slicer(Stage):
    """Halves, with some variation, until a part is small enough: so all parts are alike, the last one too."""

    __slots__ = ("due", "sizes")

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.due = 0.0
        self.sizes: list[int] = []  # of the slices of the first piece, the next one last

    def step(self) -> bool:
        if self.due > now():
            self.wake_at(self.due)
            return False
        piece = self.inbox[0]
        if piece.end:
            self.pass_on()
            return True
        if not self.sizes:
            self.sizes = self._slices(len(piece.data))
        size = self.sizes.pop()
        self.after.put(piece.cut(size) if self.sizes else self.inbox.pop(0))
        delay_us = self.number("delay") or int(len(self.sizes) % AT_ONCE == 0)
        self.due = now() + delay_us / 1e6
        return True

    def interrupt(self) -> None:
        self.due = 0.0
        if self.sizes:
            self.sizes = []
            self.pass_on()

    def _slices(self, size: int) -> list[int]:
        average, variation = self.number("average_size"), self.number("size_variation")
        todo, done = [size], []
        while todo:
            size = todo.pop()
            if size - average <= variation:
                done.append(size)
                continue
            left = size // 2 + (int(self.draws.between(0, 2 * variation)) - variation if variation else 0)
            todo += [left, size - left]
        return done


def _check(attributes: Attributes) -> str | None:
    average, variation = int(attributes["average_size"]), int(attributes["size_variation"])
    if average <= 0:
        return "average_size must be at least 1"
    return None if 0 <= variation < average else "size_variation must be at least 0 and less than average_size"


KIND = Kind("slicer", Slicer, {"average_size": 0, "size_variation": 0, "delay": 0}, _check)
