"""Discard all data; after `timeout` ms without any, close. 0: never. Removing it closes the connections."""

from __future__ import annotations

from typing import ClassVar

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Kind, Toxic

__all__ = ["KIND"]


class Timeout(Stage):
    """Each piece begins the silence anew."""

    __slots__ = ("silent_since",)
    discards: ClassVar[bool] = True

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.silent_since = 0.0

    def begin(self) -> None:
        self.silent_since = now()
        if self.number("timeout") > 0:
            self.wake_at(self.silent_since + self.number("timeout") / 1000)

    def request_begins(self) -> None:
        acted = self.active
        super().request_begins()
        if self.active and not acted:
            self.begin()
        elif acted and not self.active:
            self.cancel()

    def step(self) -> bool:
        if self.inbox.pop(0).end:
            self.end()
        else:
            self.silent_since = now()
        return True

    def woken(self) -> None:
        due = self.silent_since + self.number("timeout") / 1000
        if due > now():
            self.wake_at(due)  # there was data since
        else:
            self.end()

    def leave(self) -> bool:
        """What was discarded cannot be made good, so the connection ends; so do those on which it did not act."""
        if not self.closed:
            self.end()
        return True


KIND = Kind("timeout", Timeout, {"timeout": 0})
