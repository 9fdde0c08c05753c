"""A guard on memory: collect garbage, then refuse, then drain and end, before the kernel kills without a word."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Callable
from typing import Protocol

from target_service.replica.memory import Cgroup, find_cgroup, kept_bytes
from target_service.replica.process_settings import MemorySettings

__all__ = ["Level", "MemoryGuard", "MemoryWatch", "reading"]

log = logging.getLogger(__name__)

COLLECT_EVERY_S = 10.0  # a collection stops the engine for some tens of milliseconds
MB = 2**20


class Level(enum.Enum):
    """How much too much it is."""

    FINE = "fine"
    HIGH = "high"  # near the limit: collect garbage
    OVER = "over"  # above it: refuse new requests
    LASTING = "lasting"  # for too long: end


class MemoryWatch:
    """Feed it readings as shares of the soft limit. Pure."""

    def __init__(self, collect_share: float, patience_s: float) -> None:
        self._collect_share = collect_share
        self._patience_s = patience_s
        self._over_since_s: float | None = None

    def look(self, now_s: float, share: float) -> Level:
        """The level at `now_s`; `share` 1 is the limit itself."""
        if share < 1:
            self._over_since_s = None
            return Level.HIGH if 0 < self._collect_share <= share else Level.FINE
        if self._over_since_s is None:
            self._over_since_s = now_s
        return Level.LASTING if now_s - self._over_since_s >= self._patience_s else Level.OVER


def reading(settings: MemorySettings, pids: Callable[[], list[int]]) -> Callable[[], float] | None:
    """How to read the share of the soft limit that is used; None, with a warning, when there is no limit to share."""
    group = find_cgroup() if settings.soft_limit_share > 0 else None
    if settings.soft_limit_share > 0 and group is None:
        log.warning("--mem-soft-limit-share: no cgroup limits the memory, so there is nothing to have a share of")
    if group is None and settings.soft_limit_mb <= 0:
        return None

    def read() -> float:
        shares = []
        if group is not None:
            shares.append(_share_of(group, settings.soft_limit_share))
        if settings.soft_limit_mb > 0:
            shares.append(kept_bytes(pids()) / (settings.soft_limit_mb * MB))
        return max(shares)

    return read


def _share_of(group: Cgroup, soft_limit_share: float) -> float:
    return group.usage_bytes() / (soft_limit_share * group.limit_bytes)


class GuardHears(Protocol):
    """The server, told how much memory is left."""

    def collect(self) -> None:
        """Collect garbage, here and in the engine."""

    def over(self, problem: str | None) -> None:
        """Refuse requests because of the problem; None: no longer."""

    def lasting(self, problem: str) -> None:
        """It does not go away: drain and end."""


class MemoryGuard:
    """Looks again and again; `read` gives the share of the soft limit that is used."""

    def __init__(
        self,
        settings: MemorySettings,
        read: Callable[[], float],
        hears: GuardHears,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._read = read
        self._hears = hears
        self._clock = clock
        self._watch = MemoryWatch(settings.collect_share, settings.patience_s)
        self._level = Level.FINE
        self._collected_s = float("-inf")

    async def run(self) -> None:
        """Look until cancelled, or until it has to end."""
        while self.look() is not Level.LASTING:  # noqa: ASYNC110  the level is looked at, nobody announces it
            await asyncio.sleep(self._settings.look_s)

    def look(self) -> Level:
        """Look once, and do what follows."""
        try:
            share = self._read()
        except OSError as error:
            log.warning("memory cannot be read: %s", error)
            return self._level
        now_s = self._clock()
        level, before = self._watch.look(now_s, share), self._level
        self._level = level
        if level is not Level.FINE and now_s - self._collected_s >= COLLECT_EVERY_S:
            self._collected_s = now_s
            self._hears.collect()
        problem = f"memory: {share:.0%} of the soft limit is used"
        over = (Level.OVER, Level.LASTING)
        if level in over and before not in over:
            log.error("%s: requests are refused", problem)
            self._hears.over(problem)
        if level not in over and before in over:
            log.warning("%s: requests are taken again", problem)
            self._hears.over(None)
        if level is Level.LASTING:
            log.error("%s for %g s: the replica drains and ends", problem, self._settings.patience_s)
            self._hears.lasting(problem)
        return level
