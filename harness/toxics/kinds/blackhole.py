"""Hold everything on this stream, its end too, until the toxic is removed: as a partition does, which loses no byte
that TCP would send again. It cannot drop a SYN: connections are accepted, and the upstream is dialled."""

from __future__ import annotations

from harness.toxics.stage import Stage
from harness.toxics.toxic import Kind

__all__ = ["KIND"]


class Blackhole(Stage):
    """One stream only; put it on both for a whole partition."""

    __slots__ = ()

    def step(self) -> bool:
        return False


KIND = Kind("blackhole", Blackhole, {}, official=False)
