"""The back-test passes on what the model describes, and fails on what it does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.model.soak_trials import Night
from harness.model.verdict import Finding, VerdictOutcome
from harness.soak.assumption import compression_finding, holm, permutation_p
from harness.soak.backtest import anchor, back_test
from harness.soak.sample import sample_of
from tests.soak.trials import drawn_costs, night, soak_file

PASS, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.INCONCLUSIVE


def checks(*nights: Night) -> dict[str, Finding]:
    soak = soak_file()
    return {finding.check: finding for finding in back_test(soak, sample_of(soak, nights), 1)}


def alike(seed: int = 1, run_id: str = "20000101-a") -> Night:
    return night({"crash": drawn_costs(seed), "hang": drawn_costs(seed + 50)}, run_id)


def test_every_gate_passes_when_trials_are_alike() -> None:
    found = checks(alike())
    assert {one.outcome for one in found.values()} == {PASS}, found
    assert set(found) == {f"backtest.{n}" for n in ("schedule", "held_out", "recoveries", "conservation", "repeatable")}


def test_a_second_half_that_costs_twice_as_much_is_found() -> None:
    drifting = [*drawn_costs(1, 20), *(2 * cost for cost in drawn_costs(2, 20))]
    found = checks(night({"crash": drifting, "hang": drifting}))
    assert found["backtest.held_out"].outcome is INCONCLUSIVE
    assert found["backtest.recoveries"].outcome is INCONCLUSIVE


def test_a_night_that_earlier_nights_do_not_predict_is_found() -> None:
    worse = night({"crash": drawn_costs(4, mean=35), "hang": drawn_costs(5, mean=35)}, "20000102-b")
    assert checks(alike(), alike(2, "20000102-b"))["backtest.earlier"].outcome is PASS
    assert checks(alike(), worse)["backtest.earlier"].outcome is INCONCLUSIVE


def test_a_request_that_is_in_no_trial_is_found() -> None:
    one = alike()
    found = checks(dataclasses.replace(one, scheduled=one.scheduled + 1))["backtest.conservation"]
    assert found.outcome is INCONCLUSIVE and "in its parts" in found.reason


def test_too_few_trials_pass_no_gate_that_needs_them() -> None:
    found = checks(night({"crash": [20] * 6, "hang": [20] * 6}))
    assert found["backtest.held_out"].outcome is INCONCLUSIVE
    assert found["backtest.recoveries"].outcome is INCONCLUSIVE


@pytest.mark.parametrize(("factor", "outcome"), [(1, PASS), (3, INCONCLUSIVE)])
def test_real_time_is_held_against_the_projection(factor: int, outcome: VerdictOutcome) -> None:
    soak, one = soak_file(), alike()
    costs = [factor * cost for cost in drawn_costs(9, 5)]
    leg = dataclasses.replace(night({"crash": costs, "hang": costs}, "leg"), real_time=True)
    found = anchor(sample_of(soak, [one]), [one, leg], 1)
    assert found is not None and found.outcome is outcome
    assert anchor(sample_of(soak, [one]), [one], 1) is None


def test_compression_is_allowed_when_recoveries_know_nothing_of_gap_and_order() -> None:
    finding = compression_finding(sample_of(soak_file(), [alike()]), 1)
    assert finding.outcome is PASS, finding


def test_a_recovery_that_grows_with_the_order_forbids_compression() -> None:
    growing = [10 + order for order in range(30)]
    finding = compression_finding(sample_of(soak_file(), [night({"crash": growing, "hang": growing})]), 1)
    assert finding.outcome is INCONCLUSIVE and "time may not be compressed" in finding.reason


def test_a_recovery_that_follows_the_gap_before_it_forbids_compression() -> None:
    one = alike()
    warm = tuple(
        dataclasses.replace(trial, recovery_s=(0.0, 1 + trial.gap_s / 3)) if trial.fault_type == "crash" else trial
        for trial in one.trials
    )
    finding = compression_finding(sample_of(soak_file(), [dataclasses.replace(one, trials=warm)]), 1)
    assert "crash: recovery changes with the gap before it" in finding.reason


def test_the_tests_of_compression_raise_few_false_alarms() -> None:
    alarms = 0
    for seed in range(20):
        one = night({"crash": drawn_costs(seed, 12), "hang": drawn_costs(100 + seed, 12)})
        alarms += compression_finding(sample_of(soak_file(), [one]), seed).outcome is INCONCLUSIVE
    assert alarms <= 4  # one in twenty by design; more than four has a chance below 0.3 %


def test_holm_steps_down_and_stops() -> None:
    assert holm({"a": 0.001, "b": 0.02, "c": 0.04}) == ["a", "b", "c"]
    assert holm({"a": 0.001, "b": 0.03, "c": 0.04}) == ["a"]
    assert holm({"a": 0.02, "b": 0.03, "c": 0.04}) == []


def test_a_permutation_test_is_uniform_where_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    p_values = [permutation_p(rng.random(12), lambda rows: rows[:, 0], rng) for _ in range(60)]
    assert 0.3 < np.mean(p_values) < 0.7
