"""Samples over time: absent is never zero."""

from __future__ import annotations

import math

from harness.monitor.series import Series, gaps, increase

NAN = math.nan


def of(*value: float) -> Series:
    return Series("x", {}, tuple(float(at) for at in range(len(value))), value)


def test_a_stretch_without_numbers_is_a_gap() -> None:
    series = Series("x", {}, (0.0, 1.0, 2.0, 8.0, 9.0), (1, 1, 1, 1, 1))
    assert gaps(series, 1.0, 0.0, 10.0) == [(2.0, 8.0)]


def test_a_number_that_is_none_fills_no_gap() -> None:
    assert gaps(of(1, NAN, NAN, NAN, 1), 1.0, 0.0, 4.0) == [(0.0, 4.0)]


def test_a_series_that_ends_or_begins_late_has_a_gap_there() -> None:
    series = Series("x", {}, (5.0, 6.0), (1, 1))
    assert gaps(series, 1.0, 0.0, 20.0) == [(0.0, 5.0), (6.0, 20.0)]


def test_nothing_at_all_is_one_gap() -> None:
    assert gaps(Series("x"), 1.0, 3.0, 9.0) == [(3.0, 9.0)]


def test_a_counter_grows_over_its_resets_and_tells_how_many_there_were() -> None:
    assert increase(of(5, 7, 9)) == (4.0, 0)
    assert increase(of(5, 7, 2, NAN, 3)) == (5.0, 1)
    assert increase(of(5)) is None
    assert increase(of(NAN, NAN)) is None
