"""Ageing: intervals that hold on correlated noise, causes told apart where they can be, honest times to a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.soak.ageing import EFFECTIVE_MIN, ageing, time_to_limit
from harness.soak.low_frequency import Samples

pytestmark = pytest.mark.whole

MINUTES: np.ndarray = np.arange(600) * 60.0


def noise(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """AR(1) of variance 1."""
    steps = rng.standard_normal(n) * math.sqrt(1 - memory**2)
    found = np.empty(n)
    found[0] = rng.standard_normal()
    for at in range(1, n):
        found[at] = memory * found[at - 1] + steps[at]
    return found


def served(rng: np.random.Generator, *, bursty: bool = True) -> np.ndarray:
    """Requests so far: five quiet hours and five busy ones, or a steady load."""
    per_minute = np.repeat([30.0, 1170.0], 300) if bursty else np.full(600, 600.0)
    return np.cumsum(rng.poisson(per_minute)).astype(float)


def over_time(value: np.ndarray) -> Samples:
    """Of ten hours, one a minute."""
    return Samples(MINUTES, value, MINUTES)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_intervals_cover_the_true_slopes_on_noise_with_a_memory(memory: float) -> None:
    rng = np.random.default_rng(round(10 * memory))
    runs, covered = 200, np.zeros(3)
    for _ in range(runs):
        requests = served(rng)
        value = 2.0 * MINUTES / 3600 + 3.0 * requests / 1e6 + 5 * noise(600, memory, rng)
        found = ageing([Samples(MINUTES, value, requests)])
        mixed = ageing([Samples(MINUTES, value - 3.0 * requests / 1e6, requests)]).per_hour
        for which, (one, truth) in enumerate([(found.per_hour_alone, 2), (found.per_million_requests, 3), (mixed, 2)]):
            if one.value is None:
                assert found.samples_effective < EFFECTIVE_MIN
                covered[which] += 0.95  # refused now and then: neither right nor wrong
            else:
                assert one.low is not None and one.high is not None
                covered[which] += one.low <= truth <= one.high
    # Three standard errors of 200 runs below 95 %; the bench has more.
    assert (covered / runs > 0.9).all(), covered / runs


def test_the_textbooks_interval_would_not_hold_on_that_noise() -> None:
    rng = np.random.default_rng(1)
    x = MINUTES - MINUTES.mean()
    missed = 0
    for _ in range(300):
        value = noise(600, 0.9, rng)
        slope = x @ value / (x @ x)
        left = value - value.mean() - slope * x
        missed += abs(slope) > 1.96 * math.sqrt(left @ left / 598 / (x @ x))
    assert missed / 300 > 0.4


def test_a_steady_load_does_not_tell_time_from_requests() -> None:
    rng = np.random.default_rng(1)
    requests = served(rng, bursty=False)
    found = ageing([Samples(MINUTES, 2.0 * MINUTES / 3600 + noise(600, 0.3, rng), requests)])
    assert found.per_hour.value == pytest.approx(2, abs=0.2)
    assert found.per_hour_alone.value is None and found.per_million_requests.value is None
    assert "requests went with time" in found.per_million_requests.method


def test_a_leak_per_request_is_found_as_such() -> None:
    rng = np.random.default_rng(1)
    requests = served(rng)
    found = ageing([Samples(MINUTES, 50 * requests / 1e6 + 0.1 * noise(600, 0.5, rng), requests)])
    one, other = found.per_million_requests, found.per_hour_alone
    assert one.low is not None and one.low > 49 and other.low is not None and other.high is not None
    assert max(-other.low, other.high) < 0.1


@pytest.mark.parametrize("n", [5, 39])
def test_few_samples_give_no_slope(n: int) -> None:
    found = ageing([Samples(MINUTES[:n], MINUTES[:n], MINUTES[:n])])
    assert found.per_hour.value is None and f"{n} samples, 40 needed" in found.per_hour.method


@pytest.mark.parametrize("memory", [0.99, 1.0])
def test_what_moves_by_steps_that_stay_has_an_interval_that_holds_and_no_cause(memory: float) -> None:
    """A heap: what it took it keeps. Its level is worth few independent samples, its steps are."""
    rng = np.random.default_rng(1)
    covered = walks = 0
    for _ in range(200):
        level = np.cumsum(rng.standard_normal(600)) if memory == 1 else 10 * noise(600, memory, rng)
        found = ageing([Samples(MINUTES, 2 * MINUTES / 3600 + level, served(rng))])
        if "steps that stay" in found.per_hour.method:
            walks += 1
            assert found.per_hour.low is not None and found.per_hour.high is not None
            covered += found.per_hour.low <= 2 <= found.per_hour.high
            assert found.per_million_requests.value is None and "independent ones" in found.per_million_requests.method
    assert walks >= 190 and covered / walks > 0.91


def test_a_leak_in_steps_has_a_time_to_its_limit() -> None:
    rng = np.random.default_rng(14)
    steps = np.cumsum(rng.poisson(0.5, 600)).astype(float)  # half a megabyte a minute
    found = time_to_limit([over_time(steps)], steps[-1] + 300, "max")
    assert found.low_h is not None and found.high_h is not None
    assert found.low_h < 10 < found.high_h < 15 and found.method == "mean step"
    assert time_to_limit([over_time(-steps)], 300, "max").low_h == math.inf


def test_a_level_that_never_moves_has_the_slope_zero() -> None:
    found = ageing([Samples(MINUTES, np.full(600, 7.0), served(np.random.default_rng(1)))])
    assert (found.per_hour.low, found.per_hour.value, found.per_hour.high) == (0, 0, 0) and not found.bends


def test_times_to_a_limit_cover_the_truth() -> None:
    rng = np.random.default_rng(3)
    covered = bounded = runs = 0
    for _ in range(300):
        found = time_to_limit([over_time(100 + 2 * MINUTES / 3600 + 3 * noise(600, 0.8, rng))], 200, "max")
        if found.low_h is None:  # taken for bent, or for too long a memory: about one in a hundred
            continue
        truth_h = (200 - 100) / 2 - MINUTES[-1] / 3600
        runs += 1
        bounded += found.high_h is not None
        covered += found.low_h <= truth_h <= (math.inf if found.high_h is None else found.high_h)
    assert runs > 280 and covered / runs > 0.92
    assert bounded / runs > 0.5


def test_a_slope_that_may_be_none_leaves_the_time_open() -> None:
    rng = np.random.default_rng(4)
    found = time_to_limit([over_time(100 + noise(600, 0.5, rng))], 200, "max")
    assert found.high_h is None and found.low_h is not None and found.low_h > 24


def test_a_level_that_leaves_the_limit_behind_never_meets_it() -> None:
    rng = np.random.default_rng(5)
    found = time_to_limit([over_time(100 - 3 * MINUTES / 3600 + noise(600, 0.5, rng))], 200, "max")
    assert found.hours is None and found.low_h == math.inf and "does not lead" in found.method


def test_a_falling_hit_rate_meets_its_lower_limit() -> None:
    rng = np.random.default_rng(6)
    found = time_to_limit([over_time(0.9 - 0.01 * MINUTES / 3600 + 0.002 * noise(600, 0.5, rng))], 0.5, "min")
    assert found.hours == pytest.approx(30, rel=0.1) and found.high_h is not None
    assert found.low_h is not None and found.low_h < 30 < found.high_h


def test_a_level_at_its_limit_has_no_time_left() -> None:
    rng = np.random.default_rng(7)
    found = time_to_limit([over_time(100 + 5 * MINUTES / 3600 + noise(600, 0.5, rng))], 120, "max")
    assert found.hours == 0 and found.low_h == 0


def test_what_bends_is_not_carried_on() -> None:
    rng = np.random.default_rng(8)
    filling = 100 * (1 - np.exp(-MINUTES / 7200)) + noise(600, 0.5, rng)
    assert ageing([Samples(MINUTES, filling, served(rng))]).bends
    assert "no straight line" in time_to_limit([over_time(filling)], 200, "max").method


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((MINUTES, MINUTES[:-1], MINUTES), "one shape"),
        ((MINUTES[::-1].copy(), MINUTES, MINUTES), "must rise"),
        ((MINUTES, MINUTES, MINUTES[::-1].copy()), "must not fall"),
        ((MINUTES, np.full(600, math.nan), MINUTES), "finite"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: tuple[np.ndarray, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Samples(*columns)


def legs(rng: np.random.Generator, rates: tuple[float, ...], per_hour: float, per_million: float) -> list[Samples]:
    """An hour each, at steady loads of their own; the first one is sampled four times as often."""
    found = []
    for place, rate in enumerate(rates):
        n = 480 if place == 0 else 120
        time_s: np.ndarray = np.arange(n) * 3600.0 / n
        requests = np.cumsum(rng.poisson(rate * 3600 / n, n)).astype(float)
        noisy = math.sqrt(n / 120) * noise(n, 0.3, rng)  # a mean over a quarter of the time: four times the variance
        value = 100 * place + per_hour * time_s / 3600 + per_million * requests / 1e6 + noisy
        found.append(Samples(time_s, value, requests))
    return found


def test_legs_at_steady_loads_of_their_own_tell_time_from_requests_together() -> None:
    rng = np.random.default_rng(9)
    runs, covered = 200, np.zeros(4)
    for _ in range(runs):
        stretches = legs(rng, (5, 40, 80, 10), 4, 30)
        assert all(ageing([one]).per_million_requests.value is None for one in stretches)
        found = ageing(stretches)
        mean_load = 4 + 30 * sum(np.ptp(o.requests) for o in stretches) / sum(o.hours for o in stretches) / 1e6
        truths = [(found.per_hour_alone, 4), (found.per_million_requests, 30), (found.per_hour, mean_load)]
        for which, (one, truth) in enumerate(truths):
            assert one.low is not None and one.high is not None
            covered[which] += one.low <= truth <= one.high
        covered[3] += found.differs
    assert (covered[:3] / runs > 0.9).all() and covered[3] / runs < 0.05, covered / runs


def test_several_stretches_know_a_slope_better_than_one() -> None:
    rng = np.random.default_rng(10)
    stretches = legs(rng, (20,) * 6, 4, 0)
    alone, together = ageing(stretches[:1]).per_hour, ageing(stretches).per_hour
    assert alone.low is not None and alone.high is not None and together.low is not None and together.high is not None
    assert together.high - together.low < (alone.high - alone.low) / 2
    assert together.low <= 4 <= together.high


def test_slopes_that_differ_from_stretch_to_stretch_are_told_with_their_spread_and_not_carried_on() -> None:
    rng = np.random.default_rng(11)
    stretches = [legs(rng, (20, 20), slope, 0)[1] for slope in (0, 20, 40)]
    found = ageing(stretches)
    assert found.differs and "slopes that differ" in found.per_hour.method
    assert found.per_hour.low is not None and found.per_hour.low < 0 and (found.per_hour.high or 0) > 40
    assert "not the same in all stretches" in time_to_limit(stretches, 1000, "max").method


def test_what_is_far_beyond_what_was_watched_is_no_number() -> None:
    rng = np.random.default_rng(12)
    found = time_to_limit([over_time(2 * MINUTES / 3600 + 0.01 * noise(600, 0.5, rng))], 1e5, "max")
    assert found.hours is None and found.high_h is None
    assert found.low_h == pytest.approx(1000, rel=0.01) and "not within 100 times" in found.method


def test_an_exact_line_meets_its_limit_at_one_moment() -> None:
    line = 2 + 1.2 * MINUTES / 3600
    found = time_to_limit([over_time(line)], 100, "max")
    truth_h = (100 - line[-1]) / 1.2
    assert found.low_h == pytest.approx(truth_h) and found.high_h == pytest.approx(truth_h)
    assert "not within 100 times" in time_to_limit([over_time(line)], 66_000, "max").method
