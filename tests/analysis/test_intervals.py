"""Intervals cover what they say, and claim nothing where n is too small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.intervals import mean_over_episodes, quantile_bounds, rate, recovery_quantile
from harness.model.verdict import Interval


@pytest.mark.parametrize("p", [0.001, 0.02, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_clopper_pearson_covers_at_least_what_it_says_for_every_true_rate(p: float, n: int) -> None:
    two = sum(stats.binom.pmf(k, n, p) for k in range(n + 1) if rate(k, n).low <= p <= rate(k, n).high)
    one = sum(stats.binom.pmf(k, n, p) for k in range(n + 1) if rate(k, n, one_sided=True).low <= p)
    assert two >= 0.95 - 1e-12
    assert one >= 0.95 - 1e-12


@pytest.mark.parametrize("k", [0, 3, 50])
def test_the_bounds_are_those_of_scipy(k: int) -> None:
    exact = stats.binomtest(k, 50).proportion_ci(0.95, "exact")
    found = rate(k, 50)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(("failures", "n"), [(0, 14_978), (1, 23_718), (10, 84_808)])
def test_the_sample_sizes_of_the_reference_are_the_smallest_that_show_99_98_percent(failures: int, n: int) -> None:
    low, one_less = (rate(size - failures, size, one_sided=True).low for size in (n, n - 1))
    assert low is not None and one_less is not None
    assert one_less < 0.9998 <= low


@pytest.mark.parametrize(("n", "ranks"), [(10, (2, 9)), (20, (6, 15)), (30, (10, 21)), (60, (22, 39)), (100, (40, 61))])
def test_ranks_for_the_median_are_those_of_hahn_and_meeker(n: int, ranks: tuple[int, int]) -> None:
    assert quantile_bounds(n, 0.5, 0.975) == ranks


@pytest.mark.parametrize(("quantile", "n"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_a_percentile_is_estimable_from_exactly_so_many_episodes(quantile: float, n: int) -> None:
    times = [Interval(1.0, 2.0)] * n
    assert recovery_quantile(times, quantile, 0.95).high == 2.0
    refused = recovery_quantile(times[1:], quantile, 0.95)
    assert refused.value is None
    assert refused.method == f"not estimable: {n - 1} episodes, {n} needed"


@pytest.mark.parametrize("n", [5, 12, 33])
def test_order_statistics_cover_the_quantile_exactly_as_often_as_they_say(n: int) -> None:
    for quantile in (0.3, 0.5, 0.8):
        low, high = quantile_bounds(n, quantile, 0.9)
        if low is not None:  # P(X_(l) <= q) = P(Bin >= l)
            assert stats.binom.sf(low - 1, n, quantile) >= 0.9 - 1e-9
        if high is not None:
            assert stats.binom.cdf(high - 1, n, quantile) >= 0.9 - 1e-9


def test_an_episode_that_never_recovered_is_infinitely_long_and_never_dropped() -> None:
    found = recovery_quantile([Interval(1, 2)] * 4 + [Interval(9, None)], 0.5, 0.95)
    assert found.high is None
    assert found.n == 5
    assert recovery_quantile([None] * 5, 0.5, 0.95).high == 0.0


def test_a_mean_has_an_interval_from_ten_episodes_on_and_it_is_that_of_scipy() -> None:
    values = list(np.random.default_rng(3).exponential(5, 30))
    assert mean_over_episodes(values[:9]).low is None
    assert mean_over_episodes([]).value is None
    assert mean_over_episodes([2.0] * 12).low == 2.0
    found = mean_over_episodes(values)
    known = stats.bootstrap((np.array(values),), np.mean, n_resamples=20_000, rng=np.random.default_rng(1))
    low, high = known.confidence_interval
    assert found.low is not None and found.high is not None
    assert math.isclose(found.low, low, rel_tol=0.03) and math.isclose(found.high, high, rel_tol=0.03)
