"""The whole report: when it passes, when it does not, and what it never claims."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.model.scenario import Claim
from harness.model.soak import FaultRate, SoakFile
from harness.model.soak_report import SoakReport
from harness.model.soak_trials import Night
from harness.model.verdict import VerdictOutcome
from harness.render.soak import terminal_lines, to_html, to_markdown
from harness.soak.pages import raised
from harness.soak.project import project
from harness.store.projection import to_json
from tests.soak.trials import drawn_costs, night, soak_file, trial

pytestmark = pytest.mark.whole

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE


def measured(**changes: Any) -> Night:
    return night({"crash": drawn_costs(1), "hang": drawn_costs(2)}, **changes)


def projected(soak: SoakFile | None = None, *nights: Night) -> SoakReport:
    return project(soak or soak_file(), nights or (measured(),))


def test_an_objective_that_nearly_every_month_keeps_passes_and_one_that_none_keeps_fails() -> None:
    report = projected(soak_file(objectives={"success_rate": Claim(min=0.999), "failures": Claim(max=30)}))
    assert report.outcome is PASS, report.reason
    assert all(row.p_met is not None and row.p_met > 0.99 for row in report.objectives)
    assert projected(soak_file(objectives={"success_rate": Claim(min=0.9999999)})).outcome is FAIL


def test_an_objective_in_between_is_inconclusive() -> None:
    report = projected(soak_file(objectives={"failures": Claim(max=5)}))
    assert report.outcome is INCONCLUSIVE and "neither 95% nor 5%" in report.objectives[0].reason


def test_too_few_trials_make_a_projection_inconclusive_whatever_it_says() -> None:
    report = projected(soak_file(), night({"crash": [20] * 4, "hang": [20] * 4}))
    assert report.outcome is INCONCLUSIVE and "too few verified trials: 4 of crash" in report.reason
    assert report.objectives[0].outcome is PASS


def test_a_type_without_a_trial_makes_every_objective_not_estimable() -> None:
    report = projected(soak_file(), dataclasses.replace(measured(), trials=(trial("crash", 1, 20),)))
    assert report.objectives[0].projected.value is None
    assert "no verified trial of hang" in report.objectives[0].reason


def test_trials_that_prove_nothing_are_thrown_out_and_counted() -> None:
    one = measured()
    bad = dataclasses.replace(one.trials[0], valid=False, invalid_reason="no proof", lost=100)
    report = projected(soak_file(), dataclasses.replace(one, trials=(bad, *one.trials[1:])))
    assert report.thrown_out == 1 and report.trials == len(one.trials) - 1
    assert "1 thrown out" in to_html(report)


def test_a_trial_that_had_not_recovered_is_never_dropped_and_never_passes() -> None:
    one = measured()
    still = dataclasses.replace(one.trials[0], recovery_s=(14.0, None))
    report = projected(soak_file(), dataclasses.replace(one, trials=(still, *one.trials[1:])))
    assert report.outcome is INCONCLUSIVE and any(f.check == "censoring" for f in report.findings)
    assert report.types[0].n == 40 and report.types[0].censored == 1


def with_guess(guess: float, most: float, **changes: Any) -> SoakFile:
    soak = soak_file(**changes)
    rate = FaultRate(assumed_per_30_days=guess, at_most_per_30_days=most)
    return dataclasses.replace(soak, faults=(soak.faults[0], dataclasses.replace(soak.faults[1], rate=rate)))


def test_an_assumed_rate_gets_a_break_even_rate_instead_of_a_p_met() -> None:
    soak = with_guess(2, 40, objectives={"failures": Claim(max=12)})
    (row,) = projected(soak).objectives
    assert row.p_met is None and row.p_met_range is not None
    assert row.p_met_range[0] < 0.2 and row.p_met_range[1] > 0.95
    (even,) = row.break_even
    assert even.per_30_days is not None and 1 < even.per_30_days < 12
    at_even = with_guess(even.per_30_days, even.per_30_days, objectives={"failures": Claim(max=12)})
    (again,) = projected(at_even).objectives
    assert again.p_met_range is not None and again.p_met_range[0] == pytest.approx(0.95, abs=0.03)


def test_an_objective_that_holds_over_the_whole_range_of_a_guess_passes() -> None:
    report = projected(with_guess(1, 4))
    assert report.outcome is PASS, report.reason
    assert report.objectives[0].break_even[0].words == "kept up to 4 per 30 days"


def test_nights_of_another_build_are_left_out_and_said() -> None:
    old = measured(run_id="0-old", build="0")
    report = projected(soak_file(), dataclasses.replace(old, wall_begin="1999"), measured())
    assert [row.pooled for row in report.history] == [False, True]
    assert report.facts["left_out"] == ["0-old: another build"]


def test_the_first_limit_names_model_host_and_the_share_of_loading() -> None:
    first, second, *_ = projected().limits
    assert "The model is m, the host h, and 50% of a restarted replica's way back was loading" in first
    assert "16 GB of weights on a GPU" in first
    assert "Nothing ran for 720 hours" in second


def test_it_is_never_called_a_soak_that_happened() -> None:
    report = projected()
    for text in (to_html(report), to_markdown(report), "\n".join(terminal_lines(report))):
        assert "30-day projection calibrated on 80 verified trials" in text


def test_the_same_trials_give_the_same_bytes() -> None:
    one, other = projected(), projected()
    assert to_json(one) == to_json(other) and to_html(one) == to_html(other)


def test_halving_the_dearest_fault_buys_most() -> None:
    dear = projected(soak_file(), night({"crash": drawn_costs(1, mean=400), "hang": drawn_costs(2)}))
    faults = [one for one in dear.improvements if "recovery of" in one.what]
    assert faults[0].what.startswith("halving the recovery of crash")
    assert faults[0].lost_saved > faults[1].lost_saved
    assert dear.types[0].budget_share > dear.types[1].budget_share


def test_what_is_lost_adds_up_over_the_calendar_and_the_budget_never_grows_back() -> None:
    report = projected(soak_file(), night({"crash": drawn_costs(1, mean=400), "hang": drawn_costs(2)}))
    typical, worst = report.calendars
    assert worst.success_rate < typical.success_rate
    for month in report.calendars:
        assert sum(month.lost) == pytest.approx((1 - month.success_rate) * report.requests_per_month, rel=0.02, abs=20)
        assert all((names == ()) or lost > 0 for names, lost in zip(month.faults, month.lost, strict=True))
    for values in report.fan.quantiles.values():
        assert list(values) == sorted(values, reverse=True)


def test_an_episode_pages_by_the_windows_of_the_workbook() -> None:
    """99.9 %: 51.8 s of full outage within an hour trip the first tier (its 5 minutes need 4.3 s)."""
    one = trial("crash", 1, 400)
    assert raised(52.0, one, 0.999, 10.0)["page in 1 h"] is True
    assert raised(51.0, one, 0.999, 10.0)["page in 1 h"] is False
    assert raised(30.0, one, 0.9998, 100.0)["page in 1 h"] is True
    assert raised(52.0, one, 0.999, 1.0)["page in 1 h"] is None  # too few requests to tell


def test_a_night_that_cannot_be_believed_is_not_projected_from() -> None:
    report = projected(soak_file(), dataclasses.replace(measured(), trusted=False, doubts=("the generator was late",)))
    assert report.outcome is INCONCLUSIVE and report.trials == 0
    assert any("the generator was late" in finding.reason for finding in report.findings)
    assert "can be believed" in report.limits[0]
