"""Intervals of differences: they hold what they should, as often as they say, and refuse what is too little."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.analysis.differences import _rank, difference_of_latency, difference_of_rates, shift_of_times
from harness.model.verdict import Interval

pytestmark = pytest.mark.whole


def times(values: np.ndarray) -> list[Interval]:
    return [Interval(float(value), float(value)) for value in values]


@pytest.mark.parametrize(("m", "n", "k"), [(4, 4, 1), (5, 5, 3), (10, 10, 24), (8, 12, 23)])
def test_the_rank_is_that_of_the_published_tables_of_mann_and_whitneys_u(m: int, n: int, k: int) -> None:
    assert _rank(m, n) == k


def test_too_few_episodes_tell_nothing() -> None:
    assert shift_of_times(times(np.arange(3.0)), times(np.arange(3.0) + 9)).low is None
    assert _rank(3, 3) is None


def test_a_shift_that_is_there_is_told_with_its_sign() -> None:
    rng = np.random.default_rng(1)
    by = shift_of_times(times(rng.normal(3, 0.2, 10)), times(rng.normal(5, 0.2, 10)))
    assert by.low is not None and by.high is not None
    assert by.low > 0
    assert by.low < 2 < by.high


def test_episodes_that_never_recovered_are_longer_than_any_and_leave_no_upper_bound() -> None:
    by = shift_of_times(times(np.array([3.0, 3.1, 3.2, 3.3, 3.4])), [Interval(50.0, None)] * 5)
    assert by.low is not None and by.low > 40
    assert by.high is None
    assert by.value is None


def test_the_width_of_what_is_known_widens_the_interval() -> None:
    a, b = np.arange(6.0), np.arange(6.0) + 0.5
    exact = shift_of_times(times(a), times(b))
    vague = shift_of_times([Interval(v - 0.2, v + 0.2) for v in a], [Interval(v - 0.2, v + 0.2) for v in b])
    assert vague.low is not None and exact.low is not None and vague.low == pytest.approx(exact.low - 0.4)
    assert vague.high is not None and exact.high is not None and vague.high == pytest.approx(exact.high + 0.4)


def test_shifts_are_covered_as_often_as_is_said() -> None:
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(400):
        by = shift_of_times(times(rng.lognormal(1, 0.4, 7)), times(rng.lognormal(1, 0.4, 6) + 0.7))
        assert by.low is not None and by.high is not None
        missed += not by.low <= 0.7 <= by.high
    assert missed <= 32


def test_rates_are_covered_as_often_as_is_said_and_differences_are_told() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for a, b in zip(rng.binomial(500, 0.99, 400), rng.binomial(800, 0.97, 400), strict=True):
        by = difference_of_rates((int(a), 500), (int(b), 800))
        assert by.low is not None and by.high is not None
        missed += not by.low <= -0.02 <= by.high
    assert missed <= 32
    told = difference_of_rates((1000, 1000), (950, 1000))
    assert told.high is not None and told.high < 0
    assert difference_of_rates((0, 0), (5, 5)).low is None


def test_latencies_of_requests_that_depend_on_each_other_are_covered_as_often_as_is_said() -> None:
    rng = np.random.default_rng(4)

    def waves(n: int) -> np.ndarray:
        noise = np.zeros(n)
        for at in range(1, n):
            noise[at] = 0.7 * noise[at - 1] + rng.normal()
        return 30 * np.exp(0.2 * noise)

    missed = 0
    for _ in range(200):
        by = difference_of_latency(waves(1200), waves(1000), 0.5)
        assert by.low is not None and by.high is not None
        missed += not by.low <= 0 <= by.high
    assert missed <= 20
    slower = difference_of_latency(waves(1200), waves(1200) * 1.5, 0.5)
    assert slower.low is not None and slower.low > 0


def test_a_quantile_that_needs_more_requests_is_refused_with_their_number() -> None:
    few = np.arange(400.0)
    assert difference_of_latency(few, few, 0.5).low is not None
    assert "5,000 needed" in difference_of_latency(few, few, 0.99).method


def test_welchs_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(30, 3, 600), rng.normal(31, 5, 600)
    by = difference_of_latency(a, b, 0.5)
    parts = [[np.quantile(p, 0.5, method="inverted_cdf") for p in np.array_split(v, 20)] for v in (a, b)]
    want = stats.ttest_ind(parts[1], parts[0], equal_var=False).confidence_interval(0.95)
    assert (by.low, by.high) == pytest.approx((want.low, want.high))
