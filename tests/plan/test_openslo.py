"""OpenSLO files as objectives: what means the same is mapped, everything else is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import call
from harness.model.errors import ScenarioError
from harness.plan.openslo import as_yaml, read_openslo
from harness.plan.parse import parse_scenario

RATIO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: chat-availability}
spec:
  service: chat
  indicator:
    metadata: {name: good-answers}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: good}}}
        total: {metricSource: {type: Prometheus, spec: {query: total}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: Good, target: 0.995}]
"""
LATENCY = """\
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: first-token-latency}
spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: x}}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: first-token}
spec:
  service: chat
  indicatorRef: first-token-latency
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 0.8, target: 0.99}]
---
apiVersion: openslo/v1
kind: Service
metadata: {name: chat}
"""


def test_ratios_and_latencies_become_blocks_that_a_scenario_takes() -> None:
    text = as_yaml(read_openslo(RATIO + LATENCY, "slo.yaml", "s"))
    assert "ttft_ms_p99: {max: 800}  # first-token" in text
    scenario = parse_scenario(f"name: x\n{text}", "x.yaml")
    assert scenario.claim["baseline_success_rate"].min == 0.995
    assert scenario.observe["ttft_ms_p99"].max == 800


@pytest.mark.parametrize(
    ("before", "after", "line", "why"),
    [
        ("Occurrences", "Timeslices", 14, "only Occurrences"),
        ("target: 0.995", "target: 99.5", 15, "between 0 and 1"),
        ("target: 0.995", "target: true", 15, "between 0 and 1"),
        ("      ratioMetric:", "      otherMetric:", 6, "neither a ratioMetric"),
        ("openslo/v1", "openslo/v2", 1, "not openslo/v1"),
        ("[{displayName: Good, target: 0.995}]", "[{target: 0.9}, {target: 0.99}]", 15, "composite"),
        ("[{displayName: Good, target: 0.995}]", "[]", 15, "one objective"),
        ("  indicator:", "  indicatorRef: gone\n  x:", 6, "no SLI 'gone'"),
        ("kind: SLO", "kind: Service", 1, "no SLO in it"),
        ("metadata: {name: chat-availability}", "metadata: {name: [", 5, "expected"),
        ("spec:\n  service", "specs:\n  service", 1, "'spec' is missing"),
    ],
)
def test_what_does_not_mean_the_same_is_refused_where_it_stands(before: str, after: str, line: int, why: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_openslo(RATIO.replace(before, after), "slo.yaml")
    (problem,) = caught.value.problems
    assert why in problem.message
    assert problem.line == line


@pytest.mark.parametrize(
    ("before", "after", "unit", "why"),
    [
        ("", "", None, "--unit"),
        ("target: 0.99", "target: 0.95", "ms", "target 0.99"),
        ("op: lte", "op: gt", "ms", "op: lte"),
        ("value: 0.8", "value: -1", "ms", "above 0"),
        ("first-token", "queue-length", "ms", "only for latencies"),
    ],
)
def test_a_threshold_that_is_no_p99_of_a_latency_is_refused(
    before: str, after: str, unit: str | None, why: str
) -> None:
    text = (
        LATENCY.replace(before, after).replace("-latency", "")
        if after == "queue-length"
        else (LATENCY.replace(before, after) if before else LATENCY)
    )
    with pytest.raises(ScenarioError, match=why):
        read_openslo(text, "slo.yaml", unit)


def test_two_that_become_the_same_objective_are_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match="chat-availability and other both become"):
        read_openslo(RATIO + "---\n" + RATIO.replace("chat-availability", "other"), "slo.yaml")


def test_the_verb_prints_the_blocks_or_one_line_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text(RATIO)
    assert call(["objectives", str(file)]) == 0
    assert capsys.readouterr().out == "claim:\n  baseline_success_rate: {min: 0.995}  # chat-availability\n"
    file.write_text("a: [")
    assert call(["objectives", str(file)]) == 2
    assert call(["objectives", str(tmp_path / "nowhere.yaml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
