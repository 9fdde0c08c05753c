"""One toxic at work on one link.

    link > stage > stage > link        `before` and `after` are its neighbours; the link is at both ends

A stage is given pieces (`put`) while it has `room`, and passes them on while the next has. When it gets room again it
pumps the one before; so a receiver that does not read stops the sender from being read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from harness.toxics.draws import Draws
from harness.toxics.pieces import End, Piece
from harness.toxics.timing import Alarm, now

if TYPE_CHECKING:
    from harness.toxics.link import Link
    from harness.toxics.toxic import Toxic

__all__ = ["Giver", "Stage", "Taker"]


class Taker(Protocol):
    """What comes after a stage."""

    def room(self) -> bool: ...
    def put(self, piece: Piece) -> None: ...


class Giver(Protocol):
    """What comes before a stage."""

    def pump(self) -> None: ...


class Stage:
    """Passes everything on; toxics override what they do otherwise.

    A toxic's `step` deals with the first piece of the inbox and says whether it could; when not, it has set `wake_at`.
    """

    __slots__ = ("active", "after", "alarm", "before", "closed", "draws", "inbox", "link", "pumping", "toxic")

    capacity: ClassVar[int] = 1  # pieces that may wait in it
    discards: ClassVar[bool] = False  # it deals with pieces even when the next has no room

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        self.toxic = toxic
        self.link = link
        self.draws = draws
        self.inbox: list[Piece] = []  # a deque takes 600 bytes, and most stages hold nothing
        self.before: Giver = link
        self.after: Taker = link
        self.alarm: Alarm | None = None
        self.active = False
        self.closed = False
        self.pumping = False

    # what toxics override

    def step(self) -> bool:
        """Deal with the first piece; False: not yet."""
        self.pass_on()
        return True

    def begin(self) -> None:
        """It acts from now on."""

    def interrupt(self) -> None:
        """It stops acting as it did: its toxic was changed or removed, or its neighbour was."""

    def request_begins(self) -> None:
        """A new HTTP request begins on this connection (called only if the toxic needs it)."""
        if self.toxic.per_request:
            self.active = self.draws.roll(self.toxic.toxicity)

    def leave(self) -> bool:
        """The toxic is removed: let go of everything. False: the stage stays, for it has begun to end the link."""
        self.interrupt()
        self.cancel()
        while self.inbox:
            self.pass_on()
        return True

    # what toxics use

    def number(self, name: str) -> int:
        """An attribute, now."""
        value = self.toxic.attributes[name]
        assert isinstance(value, int)
        return value

    def pass_on(self) -> None:
        """Give the first piece to the next."""
        self.after.put(self.inbox.pop(0))

    def end(self, how: End = End.CLOSE) -> None:
        """End the link behind what has been passed on; what comes now is dropped."""
        self.closed = True
        self.inbox.clear()
        self.cancel()
        self.after.put(Piece(b"", now(), how))

    def wake_at(self, due: float) -> None:
        """Be woken at `due` (s, monotonic), and not at what was asked for before."""
        self.cancel()
        self.alarm = self.link.alarms.at(due, self._wake)

    def cancel(self) -> None:
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None

    # what the link uses

    def room(self) -> bool:
        return self.closed or len(self.inbox) < self.capacity

    def put(self, piece: Piece) -> None:
        if not self.closed:
            self.inbox.append(piece)
            self.pump()

    def pump(self) -> None:
        if self.pumping:
            return  # further up in this very call; its loop goes on
        self.pumping = True
        moved = False
        try:
            while self.inbox and (self.after.room() or (self.discards and self.active)):
                if not self.active:
                    self.pass_on()
                elif not self.step():
                    break
                moved = True
        finally:
            self.pumping = False
        if moved and self.room():
            self.before.pump()

    def start(self) -> None:
        """Draw whether it acts, and begin. Per request it waits for the next one."""
        self.active = not self.toxic.per_request and self.draws.roll(self.toxic.toxicity)
        if self.active:
            self.begin()

    def restart(self) -> None:
        if self.closed:
            return
        self.interrupt()
        self.cancel()
        self.start()
        self.pump()

    def _wake(self) -> None:
        self.alarm = None
        self.woken()

    def woken(self) -> None:
        """Its time has come."""
        self.pump()
