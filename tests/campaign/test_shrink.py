"""Shrinking: the parts alone, and the verb on the fake stack."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.campaign.shrink import shrink
from harness.cli.main import call
from harness.cli.scenarios import expand
from harness.model.scenario import Scenario
from harness.plan.parse import parse_scenario
from harness.plan.write import scenario_text

pytestmark = pytest.mark.whole

MANY = """# Something of this loses requests.
name: many
load: {rate_per_s: 20, mix: {chat_stream: 1}}
phases: {baseline_s: 5, recovery_s: 8}
faults:
  - {kind: network.latency, on: gateway, latency_ms: 50, at_s: 0, for_s: 2}
  - {kind: process.pause, on: primary, at_s: 4, for_s: 8}
  - {kind: weights.zero_block, on: primary, at_s: 14, for_s: 2}
  - {kind: network.slow_close, on: gateway, at_s: 18, for_s: 2}
observe: {lost_requests: {max: 5}}
"""


def scenario_of(text: str) -> Scenario:
    return parse_scenario(text, "x.yaml")


def kinds(scenario: Scenario) -> list[str]:
    return [fault.kind for fault in scenario.faults]


@pytest.mark.parametrize(
    "needed", [{"process.pause"}, {"network.latency", "network.slow_close"}, set(kinds(scenario_of(MANY)))]
)
def test_exactly_the_faults_that_are_needed_are_left(needed: set[str]) -> None:
    found = shrink(scenario_of(MANY), lambda one: needed <= set(kinds(one)))
    assert set(kinds(found.scenario)) == needed


def test_a_number_is_bisected_to_a_sixteenth_of_what_it_was() -> None:
    found = shrink(scenario_of(MANY), lambda one: any(getattr(f, "for_s", 0) >= 3.1 for f in one.faults))
    (fault,) = found.scenario.faults
    assert fault.kind == "process.pause"
    assert 3.1 <= fault.lasts_s <= 3.1 + 8 / 16


def test_nothing_is_taken_that_does_not_fail() -> None:
    whole = scenario_of(MANY)
    found = shrink(whole, lambda one: False)
    assert found.scenario == whole
    assert found.steps == []
    assert found.tried > 10


def test_a_scenario_is_the_same_after_it_was_written_and_read() -> None:
    for path in expand([Path(__file__).parents[2] / "scenarios"]):
        one = parse_scenario(path.read_text(), str(path))
        again = parse_scenario(scenario_text(one), str(path))
        assert dataclasses.replace(again, lines={}) == dataclasses.replace(one, lines={}), path


def test_the_verb_finds_the_fault_that_did_it_and_writes_it_as_a_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    where = ["--stack", "fake", "--out", str(tmp_path / "out")]
    assert call(["run", str(path), "--seed", "7", *where]) == 1
    (run,) = (tmp_path / "out").iterdir()
    assert call(["shrink", str(run), "--out", str(tmp_path / "small")]) == 0
    said = capsys.readouterr().out
    assert "smaller   only process.pause on primary" in said
    written = tmp_path / "small" / "many-smallest.yaml"
    (fault,) = parse_scenario(written.read_text(), "x").faults
    assert fault.kind == "process.pause"
    assert fault.lasts_s < 8
    assert call(["run", str(written), "--seed", "7", *where]) == 1, "what was found fails by itself"


def test_a_run_that_passed_cannot_be_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(MANY.replace("max: 5}", "max: 5000}"))
    assert call(["run", str(path), "--stack", "fake", "--out", str(tmp_path / "out")]) == 0
    (run,) = (tmp_path / "out").iterdir()
    assert call(["shrink", str(run)]) == 2
    assert "only a run that failed can be shrunk" in capsys.readouterr().err


def test_the_number_of_runs_is_limited_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    assert call(["run", str(path), "--stack", "fake", "--seed", "7", "--out", str(tmp_path / "out")]) == 1
    (run,) = (tmp_path / "out").iterdir()
    assert call(["shrink", str(run), "--runs", "6", "--out", str(tmp_path / "small")]) == 0
    assert "6 runs" in (said := capsys.readouterr().out)
    assert "cut off before it was as small as could be" in said
