"""Marks where a level changed: how often they are wrong, and what they find."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.change_points import find_changes


def test_a_change_of_level_is_found_where_it_is() -> None:
    rng = np.random.default_rng(1)
    series = [*rng.normal(3, 0.2, 15), *rng.normal(4, 0.2, 15)]
    ((at, p_value),) = find_changes(series, 0.001)
    assert abs(at - 15) <= 1
    assert p_value < 0.001


def test_two_changes_are_two_marks() -> None:
    rng = np.random.default_rng(2)
    series = [*rng.normal(3, 0.2, 20), *rng.normal(5, 0.2, 20), *rng.normal(3, 0.2, 20)]
    assert [abs(at - want) <= 2 for (at, _), want in zip(find_changes(series, 0.01), (20, 40), strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize("n", [8, 12, 30, 120])
def test_a_steady_series_is_marked_no_more_often_than_was_allowed(n: int) -> None:
    rng = np.random.default_rng(n)
    marked = sum(bool(find_changes(rng.lognormal(0, 0.5, n).tolist(), 0.05)) for _ in range(400))
    assert marked <= 32  # 5 % of 400 is 20; more than 32 has a probability below 1 %


def test_one_wild_run_is_no_change_and_equal_values_are_none() -> None:
    assert find_changes([3.0] * 40, 0.05) == []
    assert find_changes([3.0] * 20 + [50.0] + [3.0] * 19, 0.05) == []


def test_a_short_series_is_marked_only_with_enough_runs() -> None:
    assert find_changes([1, 1, 1, 9, 9, 9], 0.05) == []
    assert [at for at, _ in find_changes([1, 1.1, 1.2, 1.3, 1.4, 9, 9.1, 9.2, 9.3, 9.4], 0.05)] == [5]


def test_the_same_series_gives_the_same_marks() -> None:
    series = np.random.default_rng(3).lognormal(0, 1, 14).tolist()
    assert find_changes(series, 0.3) == find_changes(series, 0.3)
