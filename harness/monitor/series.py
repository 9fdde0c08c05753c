"""Samples over time, as a monitoring system has them. Pure.

Absent is never zero: a series without samples is not there, and a stretch without samples is a gap, not a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Series", "gaps", "increase"]


@dataclass(frozen=True)
class Series:
    """One quantity of one source. `at_s` (rising) and `value` are of equal length; NaN: asked for, and no number."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    at_s: tuple[float, ...] = ()
    value: tuple[float, ...] = ()


def gaps(series: Series, every_s: float, begin_s: float, end_s: float) -> list[tuple[float, float]]:
    """Stretches (from, to) in which no number is known, though one was due every `every_s` seconds.

    A sample stands for the time until one and a half intervals later.
    """
    reach_s = 1.5 * every_s
    known = [at for at, value in zip(series.at_s, series.value, strict=True) if not math.isnan(value)]
    found, covered_s = [], begin_s
    for at_s in [*known, end_s]:
        if at_s > covered_s + reach_s:
            found.append((covered_s, at_s))
        covered_s = max(covered_s, at_s)
    return found


def increase(series: Series) -> tuple[float, int] | None:
    """How much a counter grew, and how often it was reset; None: fewer than two numbers.

    After a reset it counts from 0 again, as its process does, so what was counted between the last sample and the reset
    is lost: with resets the first number is a lower bound.
    """
    numbers = [value for value in series.value if not math.isnan(value)]
    if len(numbers) < 2:
        return None
    grown, resets = 0.0, 0
    for before, after in pairwise(numbers):
        if after < before:
            resets += 1
            grown += after
        else:
            grown += after - before
    return grown, resets
