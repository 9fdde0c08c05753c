"""Drop the first data, wait `timeout` ms, then reset. Connections that are open already when it comes are closed
instead: they were set up to end with FIN."""

from __future__ import annotations

from typing import ClassVar

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Kind, Toxic

__all__ = ["KIND"]


class ResetPeer(Stage):
    """Once it has begun to wait nothing stops it, not even its removal; nobody has to wait for it, though."""

    __slots__ = ("doomed",)
    discards: ClassVar[bool] = True

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.doomed = False

    def step(self) -> bool:
        self.inbox.clear()
        if not self.doomed:
            self.doomed = True
            self.wake_at(now() + self.number("timeout") / 1000)
        return True

    def restart(self) -> None:
        if not self.doomed:
            super().restart()

    def woken(self) -> None:
        self.end()

    def leave(self) -> bool:
        return False if self.doomed and not self.closed else super().leave()


KIND = Kind("reset_peer", ResetPeer, {"timeout": 0}, resets=True)
