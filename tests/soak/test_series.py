"""Nights as numbers, and latencies as counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.soak.latency import bins_of, merged, quantile_s
from harness.soak.series import night_values
from tests.soak.trials import night


def test_a_night_is_a_number_per_series() -> None:
    values = night_values(night({"crash": [20] * 10, "hang": [10, 30] * 5}))
    assert values["crash.recovery_s_p50"] == 2.0 and values["hang.lost_mean"] == 20.0
    assert values["hang.recovery_s_p50"] == 2.0 and values["hang.recovery_s_p90"] == 3.0
    assert values["fault_free.success_rate"] == 1.0
    assert values["fault_free.latency_s_mean"] == pytest.approx(0.02)


def test_what_a_night_does_not_know_is_none() -> None:
    one = night({"crash": [20] * 10})
    trials = tuple(dataclasses.replace(trial, valid=False) for trial in one.trials)
    values = night_values(dataclasses.replace(one, trials=trials, fault_free=None))
    assert set(values.values()) == {None}


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_a_quantile_from_counts_is_within_five_percent_and_never_better_than_it_was(quantile: float) -> None:
    latency_s = np.random.default_rng(0).lognormal(-3, 0.7, 5000)
    exact = float(np.quantile(latency_s, quantile, method="inverted_cdf"))
    found = quantile_s(merged([(bins_of(latency_s), 1.0)]), quantile)
    assert found is not None and exact <= found <= 1.05 * exact


def test_counts_add_up_with_their_weights_and_nothing_has_no_quantile() -> None:
    assert merged([({1: 2}, 1.0), ({1: 1, 3: 4}, 0.5)]) == {1: 2.5, 3: 2.0}
    assert quantile_s({}, 0.5) is None
    assert bins_of(np.array([np.nan])) == {}
