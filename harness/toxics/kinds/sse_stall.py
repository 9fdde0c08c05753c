"""Hold a token stream after `events` events, for `stall` ms; 0: until the toxic is changed or removed."""

from __future__ import annotations

from harness.toxics.draws import Draws
from harness.toxics.events import Events
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]


class SseStall(Stage):
    """Holds once in each answer, and nothing of it is lost."""

    __slots__ = ("due", "events", "held", "looked_at")

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.request_began()

    def request_began(self) -> None:
        self.events = Events()
        self.held = False  # this answer has been held already
        self.due: float | None = None  # s; when to go on
        self.looked_at = False  # the first piece of the inbox is behind the bound

    def request_begins(self) -> None:
        super().request_begins()
        self.request_began()

    def step(self) -> bool:
        piece = self.inbox[0]
        if self.looked_at:
            if self.due is None or self.due > now():
                if self.due is not None:
                    self.wake_at(self.due)
                return False
            self.held, self.looked_at = True, False
            self.pass_on()
            return True
        if self.held or piece.end:
            self.pass_on()
            return True
        limit, before = self.number("events"), self.events.count
        ends = self.events.feed(bytes(piece.data))
        if not self.events.is_stream or before + len(ends) < limit or not limit - before > 0:
            self.pass_on()
            return True
        at, stall = ends[limit - before - 1], self.number("stall")
        self.due = now() + stall / 1000 if stall else None
        if at < len(piece.data):
            self.after.put(piece.cut(at))
        else:
            self.pass_on()
        self.looked_at = True
        return True

    def interrupt(self) -> None:
        if self.looked_at:
            self.held, self.looked_at = True, False


def _check(attributes: Attributes) -> str | None:
    if int(attributes["events"]) < 1:
        return "events must be at least 1"
    return None if int(attributes["stall"]) >= 0 else "stall must not be negative"


KIND = Kind(
    "sse_stall",
    SseStall,
    {"events": 1, "stall": 0},
    _check,
    reads_requests=True,
    only_stream="downstream",
    official=False,
)
