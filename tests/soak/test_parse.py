"""Soak files: every problem at once, each at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import ScenarioError
from harness.plan.parse import parse_scenario
from harness.soak.parse import is_soak_file, parse_soak

SHIPPED = Path(__file__).parents[2] / "scenarios" / "soak" / "thirty-days.yaml"
GOOD = """# Thirty days are fine.
name: good
days: 30
faults:
  - name: crash
    inject: [{kind: process.kill}]
    rate: {events: 2, exposure_days: 90, source: the incident log}
objectives: {success_rate: {min: 0.999}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse_soak(text, "f.yaml")
    return str(caught.value).splitlines()


def test_the_shipped_file_is_the_table_of_thirty_days() -> None:
    soak = parse_soak(SHIPPED.read_text(), str(SHIPPED))
    assert soak.days * 24 == 720
    assert (soak.objectives["failures"].max, soak.objectives["success_rate"].min) == (2, 0.999)
    assert (soak.objectives["latency_s_mean"].max, soak.objectives["concurrency_max"].min) == (2, 16)
    assert soak.measure.trials_min >= 30
    assert any(one.rate.assumed for one in soak.faults) and any(len(one.inject) > 1 for one in soak.faults)


def test_the_hypothesis_is_the_first_comment() -> None:
    assert parse_soak(GOOD, "f.yaml").hypothesis == "Thirty days are fine."


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = GOOD.replace("days: 30", "days: 0\nlod: {}").replace("process.kill", "process.kil")
    text = text.replace("success_rate", "succes_rate").replace("events: 2", "events: -1")
    told = problems(text)
    assert any(line.startswith("f.yaml:3: days:") for line in told)
    assert "f.yaml:4: lod: unknown key (did you mean 'load'?)" in told
    assert any(line.startswith("f.yaml:7:") and "did you mean 'process.kill'?" in line for line in told)
    assert any(line.startswith("f.yaml:8: faults.0.rate.events:") and "not -1" in line for line in told)
    assert any("did you mean 'success_rate'?" in line for line in told)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (", source: the incident log", "", "rate.source: is missing: a rate needs events, exposure_days and source"),
        ("events: 2, ", "", "rate.events: is missing"),
        ("events: 2, exposure_days: 90, source: the incident log", "", "give events, exposure_days and source, or"),
        ("events: 2", "assumed_per_30_days: 1, events: 2", "counted or assumed, not both"),
        ("exposure_days: 90", "exposure_days: -90", "exposure_days: input should be greater than 0, not -90"),
        ("inject: [{kind: process.kill}]", "inject: []", "inject: name at least one fault"),
        ("name: crash", "name: Crash", "lower-case letters, digits and single hyphens"),
        ("min: 0.999", "confidence: 0.9", "give min or max"),
        ("objectives:", "week: {hours: [1, 2]}\nobjectives:", "week.hours: needs 24 weights, not 2"),
        ("objectives:", "measure: {gap_s_min: 9}\nobjectives:", "9 is above gap_s_max, 7"),
    ],
)
def test_a_bad_value_is_one_sentence(before: str, after: str, told: str) -> None:
    assert before in GOOD
    assert any(told in line for line in problems(GOOD.replace(before, after)))


def test_a_guess_needs_no_source_and_says_that_it_is_one() -> None:
    counted = "events: 2, exposure_days: 90, source: the incident log"
    soak = parse_soak(GOOD.replace(counted, "assumed_per_30_days: 1"), "f.yaml")
    assert soak.faults[0].rate.assumed


def test_a_soak_file_is_told_from_a_scenario() -> None:
    assert is_soak_file(GOOD) and not is_soak_file("name: x\n") and not is_soak_file(": :")
    with pytest.raises(ScenarioError, match=r"harness soak check f\.yaml"):
        parse_scenario(GOOD, "f.yaml")
