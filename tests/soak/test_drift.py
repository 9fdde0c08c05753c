"""Ageing over nights and legs: from samples to stretches, to rows, to a finding that claims no more than they show."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.frame import OUTCOMES, RunFrame
from harness.model.plan import Window
from harness.model.request import Outcome
from harness.model.scenario import Claim
from harness.model.soak_trials import DriftSeries, Night, Stretch
from harness.model.verdict import EpisodeResult, Interval, Stages, VerdictOutcome
from harness.render.soak import to_html, to_markdown
from harness.soak.drift import ageing_finding, drift_results, longest_stretch_h, nights_that_age
from harness.soak.project import project
from harness.soak.stretches import Sampled, stretches_of
from harness.store.projection import to_json
from tests.soak.trials import drawn_costs, night, soak_file


def watched(
    series: dict[tuple[str, str], np.ndarray], limits: dict[tuple[str, str], float], hours: float = 1.0
) -> Stretch:
    """Two requests a second, in 120 blocks."""
    block_s = hours * 30
    found = tuple(
        DriftSeries(source, name, tuple(float(v) for v in values), limits.get((source, name)))
        for (source, name), values in series.items()
    )
    return Stretch(0.0, block_s, tuple(int(2 * block_s * (n + 1)) for n in range(120)), found)


def measured(stretch: Stretch, **changes: Any) -> Night:
    return night({"crash": drawn_costs(1), "hang": drawn_costs(2)}, stretches=(stretch,), **changes)


def rising(per_hour: float, begin: float = 100.0, hours: float = 1.0, seed: int = 1) -> np.ndarray:
    return begin + per_hour * hours * np.arange(120) / 120 + 0.05 * np.random.default_rng(seed).standard_normal(120)


MEMORY = ("primary", "resident_mb")


def test_a_leak_is_told_with_the_time_until_the_limit_and_makes_the_projection_inconclusive() -> None:
    soak = soak_file()
    report = project(soak, [measured(watched({MEMORY: rising(12)}, {MEMORY: 1000.0}))], seed=1)
    (row,) = report.ageing
    assert row.per_hour.low is not None and row.per_hour.high is not None
    assert row.per_hour.low < 12 < row.per_hour.high and row.hours_to_limit.value == pytest.approx(74, rel=0.05)
    assert "requests went with time" in row.per_million_requests.method
    (found,) = [finding for finding in report.findings if finding.check == "ageing"]
    assert found.outcome is VerdictOutcome.INCONCLUSIVE and "resident_mb of primary in" in found.reason
    assert report.outcome is VerdictOutcome.INCONCLUSIVE
    for text in (to_markdown(report), to_html(report)):
        assert (
            "resident_mb of primary" in text and "+12" in text and "the longest stretch without a fault is 1 h" in text
        )
    assert '"ageing"' in to_json(report)


def test_what_is_flat_claims_nothing_and_harms_nothing() -> None:
    (row,) = drift_results(soak_file(), [measured(watched({MEMORY: rising(0)}, {MEMORY: 1000.0}))])
    assert row.per_hour.low is not None and row.per_hour.high is not None
    assert row.per_hour.low < 0 < row.per_hour.high
    (found,) = ageing_finding(soak_file(), [measured(watched({MEMORY: rising(0)}, {MEMORY: 1000.0}))], [row])
    assert found.outcome is VerdictOutcome.PASS


def test_five_minutes_of_growth_are_not_carried_on_to_a_month() -> None:
    """A process that has just started grows; that it would fill the host in 200 hours is no finding."""
    stretch = watched({MEMORY: rising(20, hours=1 / 12)}, {MEMORY: 4100.0}, hours=1 / 12)
    (row,) = drift_results(soak_file(), [measured(stretch)])
    assert row.per_hour.low is not None and row.per_hour.low > 5
    assert row.hours_to_limit.value is None and "not within 100 times" in row.hours_to_limit.method
    (found,) = ageing_finding(soak_file(), [measured(stretch)], [row])
    assert found.outcome is VerdictOutcome.PASS and "of 1 nobody can tell" in found.reason


def test_the_latency_that_users_see_is_held_against_the_files_objective() -> None:
    latency = ("users", "latency_s_mean")
    soak = soak_file(objectives={"latency_s_mean": Claim(max=2)})
    values = 0.02 + 0.1 * np.arange(120) / 120 + 0.001 * np.random.default_rng(1).standard_normal(120)
    (row,) = drift_results(soak, [measured(watched({latency: values}, {}))])
    assert row.limit == 2 and row.hours_to_limit.value == pytest.approx(19, rel=0.05)
    assert drift_results(soak_file(), [measured(watched({latency: values}, {}))])[0].limit is None


def test_real_time_of_the_same_pool_counts_and_of_another_not() -> None:
    one = measured(watched({MEMORY: rising(0)}, {}))
    leg = dataclasses.replace(one, run_id="leg", real_time=True, trials=())
    other = dataclasses.replace(leg, run_id="other", build="2")
    doubted = dataclasses.replace(leg, run_id="doubted", trusted=False)
    assert nights_that_age([one], [one, leg, other, doubted]) == (one, leg)
    (row,) = drift_results(soak_file(), (one, leg))
    assert row.stretches == 2 and row.hours == pytest.approx(2, rel=0.02) and longest_stretch_h((one, leg)) == 1


def test_a_night_without_a_stretch_says_so() -> None:
    report = project(
        soak_file(), [night({"crash": drawn_costs(1), "hang": drawn_costs(2)}, not_sampled=("cache: no",))]
    )
    assert report.ageing == () and not [one for one in report.findings if one.check == "ageing"]
    assert any("no stretch was long enough" in limit for limit in report.limits)
    assert "Not looked at: cache: no" in to_html(report)


def frame(windows: tuple[Window, ...], length_s: float) -> RunFrame:
    """Ten good requests a second, each of a tenth of a second."""
    due_s = np.arange(0, length_s, 0.1)
    users = pd.DataFrame({"scheduled_s": due_s, "done_s": due_s + 0.1, "latency_s": 0.1})
    users["code"] = OUTCOMES.index(Outcome.OK)
    return RunFrame(users, pd.DataFrame(), windows, 0.0, length_s)


def episode(number: int, recovery_s: Interval | None) -> EpisodeResult:
    stages = Stages(None, None, None, None)
    times = (0.0, 0.0, 0.0, 0.0)
    return EpisodeResult(number, (), *times, True, "", True, "", 0, {}, 0, 0, None, recovery_s, stages, None, None)


WINDOWS = (Window("baseline", 0, 0, 600), Window("fault", 1, 600, 604), Window("recovery", 1, 604, 1200))


def test_stretches_begin_a_minute_after_users_had_their_service_back() -> None:
    first, second = stretches_of(frame(WINDOWS, 1200), [episode(1, Interval(20, 30))], ())
    assert (first.begin_s, second.begin_s) == (120, 690), "a fifth of the first one is left out: all was young"
    assert len(first.requests) == 120 and first.block_s == 4 and first.requests[-1] == pytest.approx(4800, abs=5)
    assert second.requests[0] == pytest.approx(10 * second.block_s, abs=2)
    (latency,) = first.series
    assert latency.values == pytest.approx([0.1] * 120)


def test_a_fault_that_never_ended_and_one_that_came_soon_leave_no_stretch() -> None:
    assert len(stretches_of(frame(WINDOWS, 1200), [episode(1, Interval(20, None))], ())) == 1
    near = (*WINDOWS[:2], Window("recovery", 1, 604, 700))
    assert len(stretches_of(frame(near, 700), [episode(1, None)], ())) == 1
    assert stretches_of(frame((Window("baseline", 0, 0, 100),), 100), (), ()) == ()


def test_what_began_anew_within_a_stretch_is_left_out_of_it() -> None:
    at_s = np.arange(0.0, 1200, 2)
    memory = Sampled("primary", "resident_mb", at_s, 100 + at_s, 500.0, breaks_s=(601.0,))
    first, second = stretches_of(frame(WINDOWS, 1200), [episode(1, None)], [memory])
    assert (
        [one.quantity for one in first.series]
        == ["latency_s_mean", "resident_mb"]
        == [o.quantity for o in second.series]
    )
    assert first.series[1].values[0] == pytest.approx(221, abs=2) and first.series[1].limit == 500
    broken = dataclasses.replace(memory, breaks_s=(300.0,))
    assert len(stretches_of(frame(WINDOWS, 1200), [episode(1, None)], [broken])[0].series) == 1


def test_the_share_of_hits_is_that_of_each_block_and_unknown_where_nobody_asked() -> None:
    at_s = np.arange(0.0, 600, 1)
    lookups = np.minimum(at_s, 300) * 4  # nobody asks in the second half
    hits = Sampled("primary", "cache_hit_share", at_s, lookups * 0.25, per=lookups)
    (only,) = stretches_of(frame(WINDOWS[:1], 600), (), [hits])
    values = only.series[1].values
    assert values[10] == pytest.approx(0.25) and values[-1] is None
