"""How the load goes over a week, as factors of its mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.analysis.frame import Floats
from harness.model.soak import Week

__all__ = ["Profile", "profile_of"]


@dataclass(frozen=True)
class Profile:
    """`hourly`: 168 factors from Monday, midnight, on. Bursts multiply those of their time; the mean of all is 1."""

    hourly: Floats
    burst_share: float  # of the time
    burst_factor: float

    @property
    def peak(self) -> float:
        """The highest factor."""
        return float(self.hourly.max()) * (self.burst_factor if self.burst_share > 0 else 1.0)

    def at(self, hour_of_week: int) -> float:
        """The mean factor of an hour, its bursts included."""
        return float(self.hourly[hour_of_week % 168]) * (1 + self.burst_share * (self.burst_factor - 1))

    def moments(self, size: int, days: int, rng: np.random.Generator, *, busy: bool) -> tuple[Floats, Floats]:
        """When faults fall, in days from a Monday on, and the load's factor then; both of shape (size,).

        `busy`: in proportion to the load, else evenly.
        """
        hours = days * 24
        if busy:
            weights = self.hourly[np.arange(hours) % 168]
            total = np.cumsum(weights)
            hour = np.minimum(np.searchsorted(total, rng.random(size) * total[-1], side="right"), hours - 1)
        else:
            hour = rng.integers(0, hours, size)
        share = self.burst_share
        if busy and share > 0:
            share = share * self.burst_factor / (1 + share * (self.burst_factor - 1))
        factor = self.hourly[hour % 168] * np.where(rng.random(size) < share, self.burst_factor, 1.0)
        return (hour + rng.random(size)) / 24, factor


def profile_of(week: Week) -> Profile:
    """Hours times weekdays, scaled so that the mean over the week, bursts included, is 1."""
    grid = np.outer(np.asarray(week.weekdays, dtype=float), np.asarray(week.hours, dtype=float)).ravel()
    share, factor = (week.bursts.share, week.bursts.factor) if week.bursts else (0.0, 1.0)
    return Profile(grid / (grid.mean() * (1 + share * (factor - 1))), share, factor)
