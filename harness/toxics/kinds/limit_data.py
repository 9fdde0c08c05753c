"""Let `bytes` bytes through, counted from when the toxic joined the connection, then close."""

from __future__ import annotations

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.toxic import Kind, Toxic

__all__ = ["KIND"]


class LimitData(Stage):
    """The count survives a change of the limit."""

    __slots__ = ("passed",)

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.passed = 0  # bytes

    def step(self) -> bool:
        piece = self.inbox[0]
        left = max(0, self.number("bytes") - self.passed)
        if piece.end:
            self.pass_on()
            return True
        if len(piece.data) < left:
            self.passed += len(piece.data)
            self.pass_on()
            return True
        self.passed += left
        if left:
            self.after.put(piece.cut(left))
        self.end()
        return True


KIND = Kind("limit_data", LimitData, {"bytes": 0})
