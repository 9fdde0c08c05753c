"""The clocks of another host, as seen from this one: how far they are off, and how well that is known. Pure.

Two hosts share no monotonic clock. Whoever asks for the other's time knows that it was read between question and
answer; of several readings the one that was answered fastest says most, and errs by half of its round trip at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.record.clock import Clock

__all__ = ["Offset", "Reading", "ShiftedClock", "offset_of"]


@dataclass(frozen=True)
class Reading:
    """This host's clock before and after, and what the other one's clocks said in between. Seconds."""

    before_s: float
    after_s: float
    wall_s: float  # of this host, after
    far_s: float
    far_wall_s: float


@dataclass(frozen=True)
class Offset:
    """What has to be added to this host's time to have the other one's; off by `error_s` at most."""

    monotonic_s: float = 0.0
    wall_s: float = 0.0
    error_s: float = 0.0


def offset_of(readings: Sequence[Reading]) -> Offset:
    """From the reading with the shortest round trip."""
    best = min(readings, key=lambda one: one.after_s - one.before_s)
    half_s = (best.after_s - best.before_s) / 2
    return Offset(best.far_s - best.before_s - half_s, best.far_wall_s - best.wall_s + half_s, half_s)


class ShiftedClock:
    """A clock that says the other host's time."""

    def __init__(self, clock: Clock, offset: Offset) -> None:
        self._clock = clock
        self._offset = offset

    def now(self) -> float:
        return self._clock.now() + self._offset.monotonic_s

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def wall(self) -> str:
        return self._clock.wall()

    def wall_s(self) -> float:
        return self._clock.wall_s() + self._offset.wall_s
