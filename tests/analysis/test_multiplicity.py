"""Many claims at once, and the p-values of single ones."""

from __future__ import annotations

import pytest
from scipy import stats

from harness.analysis.claim_tests import quantile_p, rate_p
from harness.analysis.multiplicity import holm
from harness.model.scenario import Claim
from harness.model.verdict import Interval


def test_holm_steps_down_and_stops_at_the_first_that_is_not_shown() -> None:
    # The example of Holm's method with alpha 0.05: 0.01 <= 0.05/4, 0.013 <= 0.05/3, 0.03 > 0.05/2.
    assert holm([0.03, 0.01, 0.04, 0.013], 0.05) == [False, True, False, True]
    assert holm([], 0.05) == []


def test_one_of_twenty_true_nulls_is_called_true_about_once_in_twenty_catalogues() -> None:
    """Uniform p-values are claims that are false; any that holds is an error of the whole catalogue."""
    import random

    rng = random.Random(7)
    wrong = sum(any(holm([rng.random() for _ in range(20)], 0.05)) for _ in range(2000))
    alone = sum(any(rng.random() < 0.05 for _ in range(20)) for _ in range(2000))
    assert wrong / 2000 < 0.07
    assert alone / 2000 > 0.5


def test_the_p_value_of_a_rate_is_the_binomial_tests() -> None:
    expected = stats.binomtest(98, 100, 0.95, alternative="greater").pvalue
    assert rate_p(98, 100, Claim(min=0.95)) == pytest.approx(expected)
    expected = stats.binomtest(2, 100, 0.05, alternative="less").pvalue
    assert rate_p(2, 100, Claim(max=0.05)) == pytest.approx(expected)
    assert rate_p(0, 0, Claim(min=0.5)) is None


def test_the_p_value_of_a_quantile_counts_the_values_within() -> None:
    five = [Interval(1.0, 2.0)] * 5
    assert quantile_p(five, 0.5, Claim(max=3)) == pytest.approx(0.5**5)
    assert quantile_p([*five[:4], Interval(1.0, None)], 0.5, Claim(max=3)) == pytest.approx(6 / 32)
    assert quantile_p([None] * 5, 0.5, Claim(max=3)) == pytest.approx(0.5**5)
    assert quantile_p([], 0.5, Claim(max=3)) is None
