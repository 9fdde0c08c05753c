"""Projected months: known truths come out, and intervals hold what they say."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from harness.model.errors import ScenarioError
from harness.model.soak import Bursts, FaultRate, Week
from harness.soak.costs import kernel_width, mean_factors, mean_interval
from harness.soak.latency import bins_of
from harness.soak.months import evaluate, project_months
from harness.soak.percentiles import month_percentiles
from harness.soak.rates import count_bounds, draw_rates
from harness.soak.sample import sample_of
from harness.soak.week import profile_of
from tests.bench.soak_intervals import coverage
from tests.soak.trials import RATE_PER_S, drawn_costs, night, soak_file

pytestmark = pytest.mark.whole


def project(soak, costs, size=4000):  # type: ignore[no-untyped-def]
    sample = sample_of(soak, [night(costs)])
    return project_months(soak, sample, 1, size)


def test_a_month_loses_its_faults_times_what_one_costs() -> None:
    """3.5 crashes of 20 requests and 2.5 hangs of 10 (Jeffreys adds half an event): 95 requests a month."""
    months = project(soak_file(), {"crash": [20] * 30, "hang": [10] * 30})
    values = evaluate(months)
    lost = values["lost_s"] * RATE_PER_S
    assert lost.mean() == pytest.approx(95, rel=0.05)
    assert values["failures"].mean() == pytest.approx(6, rel=0.05)
    assert values["downtime_s"].mean() == pytest.approx(3.5 * 2 + 2.5 * 1, rel=0.05)
    assert np.median(values["success_rate"]) == pytest.approx(1 - 95 / 25_920_000, abs=3e-5)


def test_the_same_seed_gives_the_same_months() -> None:
    one, other = (evaluate(project(soak_file(), {"crash": drawn_costs(1), "hang": drawn_costs(2)})) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_success_rate_of_faultless_requests_is_not_taken_for_certain() -> None:
    months = project(soak_file(), {"crash": [0] * 30, "hang": [0] * 30})
    assert 0 < months.lost_share.mean() < 3 / 30_000


def test_bursts_of_faults_spread_the_number_of_failures_and_keep_its_mean() -> None:
    soak = soak_file()
    costs = {"crash": [20] * 30, "hang": [10] * 30}
    single = evaluate(project(soak, costs))["failures"]
    types = tuple(dataclasses.replace(one, burst_mean=4.0) for one in soak.faults)
    clusters = evaluate(project(dataclasses.replace(soak, faults=types), costs))["failures"]
    assert clusters.mean() == pytest.approx(single.mean(), rel=0.1)
    assert clusters.var() > 2 * single.var()


def test_a_fault_that_comes_when_it_is_busy_costs_more() -> None:
    hours = tuple(4.0 if hour < 6 else 1.0 for hour in range(24))
    soak = soak_file(week=Week(hours=hours, bursts=Bursts(per_day=2, lasts_s=3600, factor=3)))
    types = tuple(dataclasses.replace(one, when="busy") for one in soak.faults)
    costs = {"crash": [20] * 30, "hang": [10] * 30}
    any_time = evaluate(project(soak, costs))["lost_s"].mean()
    busy = evaluate(project(dataclasses.replace(soak, faults=types), costs))["lost_s"].mean()
    factor = profile_of(soak.week)
    assert any_time == pytest.approx(9.5, rel=0.1)  # seconds of outage: the mean of the load's factor is 1
    assert busy > 1.2 * any_time
    assert np.mean([factor.at(hour) for hour in range(168)]) == pytest.approx(1)


def test_exact_bounds_of_a_count_are_garwoods() -> None:
    """The table of the NIST handbook's kind: 0, 3 and 10 failures."""
    assert count_bounds(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert count_bounds(3) == pytest.approx((0.6187, 8.7673), abs=1e-3)
    assert count_bounds(10) == pytest.approx((4.7954, 18.3904), abs=1e-3)


def test_a_rate_is_drawn_from_its_posterior() -> None:
    rates = draw_rates(FaultRate(events=8, exposure_days=4, source="x"), 40_000, np.random.default_rng(0))
    assert rates.mean() == pytest.approx(8.5 / 4, rel=0.01) and rates.std() == pytest.approx(8.5**0.5 / 4, rel=0.02)


def test_too_many_faults_are_refused_before_they_fill_the_memory() -> None:
    rate = FaultRate(events=100_000, exposure_days=1, source="x")
    soak = soak_file()
    soak = dataclasses.replace(soak, faults=tuple(dataclasses.replace(one, rate=rate) for one in soak.faults))
    with pytest.raises(ScenarioError, match="a way to run, not a fault rate"):
        project(soak, {"crash": [1] * 10, "hang": [1] * 10})


@pytest.mark.parametrize("costs", [[], [3.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
def test_what_cannot_be_told_from_costs_changes_nothing(costs: list[float]) -> None:
    values = np.array(costs)
    assert (mean_factors(values, 50, np.random.default_rng(0)) == 1).all()
    assert kernel_width(values) == 0


def test_a_mean_of_skewed_costs_has_its_longer_side_above() -> None:
    costs = np.random.default_rng(3).lognormal(0, 1, 60)
    low, high = mean_interval(costs, 0.95, np.random.default_rng(0))
    assert low < costs.mean() < high and high - costs.mean() > costs.mean() - low


@pytest.mark.parametrize("kind", ["exponential", "lognormal"])
def test_intervals_hold_what_they_say_on_synthetic_truth(kind: str) -> None:
    """As the bench, with 60 repetitions: so few show only what is wrong by much; the bench shows the rest."""
    found = coverage(kind, repetitions=60, months=300, seed=5)
    assert min(found.month, found.mean, found.exact) >= 0.85


def test_months_are_fast() -> None:
    soak = soak_file()
    sample = sample_of(soak, [night({"crash": drawn_costs(1, 60), "hang": drawn_costs(2, 60)})])
    begin = time.process_time()
    evaluate(project_months(soak, sample, 1, 10_000))
    assert time.process_time() - begin < 2.0  # the bench holds 1 s


def test_percentiles_of_a_month_are_the_fault_free_ones_until_faults_fill_it() -> None:
    """In a fault every request takes ten times as long."""
    slow = bins_of(np.full(1200, 0.2))
    one = night({"crash": [0] * 30, "hang": [0] * 30})
    one = dataclasses.replace(one, trials=tuple(dataclasses.replace(t, latency_bins=slow) for t in one.trials))
    soak, sample = soak_file(), sample_of(soak_file(), [one])
    calm = month_percentiles(sample, project_months(soak, sample, 1, 1000))
    assert calm["latency_s_p99"]["low"] == calm["latency_s_p99"]["high"] == pytest.approx(0.02, rel=0.06)
    often = FaultRate(events=1800, exposure_days=30, source="a test")  # 1,200 requests each: 8 % of all
    busy = dataclasses.replace(soak, faults=tuple(dataclasses.replace(f, rate=often) for f in soak.faults[:1]))
    sample = sample_of(busy, [one])
    found = month_percentiles(sample, project_months(busy, sample, 1, 1000))
    assert found["latency_s_p50"]["high"] == pytest.approx(0.02, rel=0.06)
    assert found["latency_s_p95"]["median"] == pytest.approx(0.2, rel=0.06)


def test_without_a_fault_free_stretch_a_month_has_no_percentiles() -> None:
    one = dataclasses.replace(night({"crash": [1] * 10, "hang": [1] * 10}), fault_free=None)
    sample = sample_of(soak_file(), [one])
    assert month_percentiles(sample, project_months(soak_file(), sample, 1, 1000)) == {}
