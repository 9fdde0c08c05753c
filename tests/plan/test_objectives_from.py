"""An OpenSLO file as the source of a scenario's objectives: its own words first, and every problem where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import call
from harness.model.errors import ScenarioError
from harness.model.limit import Limit
from harness.model.scenario import Scenario
from harness.plan.parse import json_schema, parse_scenario
from harness.plan.write import scenario_text
from harness.scenario_files import read_scenario
from tests.plan.test_openslo import LATENCY, RATIO

HEAD = "name: x\nload: {rate_per_s: 20, mix: {chat: 1}}\nphases: {baseline_s: 60, recovery_s: 10}\n"


def read(folder: Path, more: str, slo: str | None = RATIO) -> Scenario:
    if slo is not None:
        (folder / "slo.yaml").write_text(slo)
    path = folder / "x.yaml"
    path.write_text(HEAD + more)
    return read_scenario(path, str(path))


def test_its_objectives_become_those_of_the_scenario(tmp_path: Path) -> None:
    scenario = read(tmp_path, "objectives_from: {file: slo.yaml, unit: s}\n", RATIO + LATENCY)
    assert scenario.claim["baseline_success_rate"].min == 0.995
    assert scenario.observe["ttft_ms_p99"] == Limit(max=800)


def test_a_bare_file_name_will_do_and_is_looked_for_beside_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert read(tmp_path, "objectives_from: slo.yaml\n").claim["baseline_success_rate"].min == 0.995


def test_what_the_scenario_says_itself_goes_first(tmp_path: Path) -> None:
    text = "objectives_from: slo.yaml\nclaim: {baseline_success_rate: {min: 0.9}}\n"
    assert read(tmp_path, text).claim["baseline_success_rate"].min == 0.9


def test_a_file_that_is_not_there_is_named_with_key_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        read(tmp_path, "objectives_from: none.yaml\n")
    expected = f"{tmp_path}/x.yaml:4: objectives_from: {tmp_path}/none.yaml cannot be read (No such file or directory)"
    assert str(refused.value) == f"{expected}; it is looked for beside the scenario"
    with pytest.raises(ScenarioError, match=r"x\.yaml:5: objectives_from\.file: "):
        read(tmp_path, "objectives_from:\n  file: none.yaml\n")


def test_what_cannot_be_mapped_is_a_problem_of_the_openslo_file(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"slo\.yaml:\d+: the unit of a threshold is not in the file: say --unit"):
        read(tmp_path, "objectives_from: slo.yaml\n", RATIO + LATENCY)
    with pytest.raises(ScenarioError, match=r"slo\.yaml:1: there is no SLO in it"):
        read(tmp_path, "objectives_from: slo.yaml\n", "")
    (tmp_path / "slo.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read(tmp_path, "objectives_from: slo.yaml\n", None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("objectives_from: {unit: ms}", "objectives_from.file: is missing"),
        ("objectives_from: {file: slo.yaml, unit: min}", "objectives_from.unit: input should be 'ms' or 's'"),
        ("objectives_from: {file: slo.yaml, uint: ms}", "unknown key (did you mean 'unit'?)"),
    ],
)
def test_another_shape_is_a_problem_of_its_line(text: str, why: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse_scenario(HEAD + text, "x.yaml")
    assert "x.yaml:4: " in str(refused.value) and why in str(refused.value)


def test_what_the_plan_could_never_show_of_it_stands_at_the_line_that_asks_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, "objectives_from: slo.yaml\n", RATIO.replace("0.995", "0.9999"))
    assert call(["plan", str(tmp_path / "x.yaml"), "--stack", "fake"]) == 2
    assert "x.yaml:4: claim.baseline_success_rate: the 1," in capsys.readouterr().err


def test_harness_check_shows_what_is_wrong_with_either_file_and_with_alerts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, "objectives_from: slo.yaml\n")
    assert call(["check", str(tmp_path / "x.yaml")]) == 0
    (tmp_path / "x.yaml").write_text(f"{HEAD}faults: [{{kind: process.kill}}]\nalerts: {{Stallt: {{within_s: 20}}}}\n")
    capsys.readouterr()
    assert call(["check", str(tmp_path / "x.yaml")]) == 2
    assert "x.yaml:5: alerts.Stallt: there is no such alert rule (did you mean 'Stalled'?)" in capsys.readouterr().err


def test_a_scenario_written_anew_has_the_objectives_themselves(tmp_path: Path) -> None:
    text = scenario_text(read(tmp_path, "objectives_from: slo.yaml\n"))
    again = parse_scenario(text, "elsewhere.yaml")
    assert again.objectives_from is None
    assert again.claim["baseline_success_rate"].min == 0.995


def test_the_schema_takes_both_ways_to_name_a_file() -> None:
    shapes = json_schema()["properties"]["objectives_from"]["anyOf"]
    assert {"type": "string"} in shapes and any("$ref" in shape for shape in shapes)
