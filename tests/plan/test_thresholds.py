"""Threshold profiles: named limits, and what a scenario's own limits make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import ScenarioError
from harness.model.limit import Limit
from harness.model.threshold_profiles import PROFILES
from harness.plan.objectives import OBSERVABLES
from harness.plan.parse import parse_scenario
from tests.fake_run import verdict_of

KILL = "faults: [{kind: process.kill}]\n"


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_limits_only_what_can_be_judged(name: str) -> None:
    assert set(PROFILES[name]) <= set(OBSERVABLES)  # type: ignore[index]
    one = parse_scenario(f"name: x\nthresholds: {name}\n{KILL}", "x.yaml")
    assert one.observe == PROFILES[name]  # type: ignore[index]


def test_a_limit_of_the_scenario_goes_before_the_profiles() -> None:
    text = f"name: x\nthresholds: online-stability\nobserve: {{latency_ms_p99: {{max: 50}}}}\n{KILL}"
    assert parse_scenario(text, "x.yaml").observe == {
        "latency_ms_p99": Limit(max=50),
        "http_error_rate": Limit(max=0.01),
    }


def test_an_unknown_profile_is_a_problem_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="thresholds: input should be 'edge-recovery'"):
        parse_scenario(f"name: x\nthresholds: seed-000\n{KILL}", "x.yaml")


def test_the_same_run_is_judged_differently_by_profiles_that_contradict_each_other(tmp_path: Path) -> None:
    """15 of 360 requests are lost to error statuses: 4 %, above 1 % and below 10 %."""
    outcomes = {
        name: verdict_of(tmp_path / name, f"thresholds: {name}\n{KILL}").outcome.value
        for name in ("edge-recovery", "online-stability", "grounding-30-days")
    }
    assert outcomes == {"edge-recovery": "pass", "online-stability": "fail", "grounding-30-days": "fail"}


def test_the_numbers_of_a_profile_are_those_of_the_run(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, f"thresholds: grounding-alerts\n{KILL}")
    found = {one.check: one for one in verdict.findings}
    errors = verdict.sli["outcomes"]["http_error"]
    assert found["observe.http_errors"].evidence["value"] == errors > 0
    assert found["observe.latency_mean_s"].evidence["value"] == pytest.approx(0.02, abs=0.005)
