"""The alert rules: they are sound, they fire and stay silent when they should, and their metrics exist."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.analysis.error_budget import BURN_RATE_PAGE
from harness.model.alerts import WATCHDOG
from harness.model.faults import FAULTS
from harness.scenario_files import known_rules

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "compose" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
PROMTOOL = shutil.which("promtool")


def alerts() -> list[dict[str, object]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.process
@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine (Debian's package prometheus)")
@pytest.mark.parametrize("what", [["check", "rules", *map(str, RULES)], ["test", "rules", *map(str, TESTS)]])
def test_promtool_finds_the_rules_sound_and_right(what: list[str]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_severity_a_summary_and_a_test() -> None:
    tests = [one for path in TESTS for one in yaml.safe_load(path.read_text())["tests"]]
    tested = {case["alertname"] for one in tests for case in one["alert_rule_test"]}
    names = [str(rule["alert"]) for rule in alerts()]
    assert len(names) == len(set(names)) >= 16
    assert set(names) == tested
    for rule in alerts():
        assert rule["labels"]["severity"] in (("none",) if rule["alert"] == WATCHDOG else ("page", "ticket"))  # type: ignore[index]
        assert rule["annotations"]["summary"]  # type: ignore[index]


def test_every_metric_of_a_rule_is_one_that_the_target_or_its_exporters_publish() -> None:
    published = "".join(path.read_text() for path in (ROOT / "target_service").rglob("metric*.py"))
    published += (ROOT / "target_service" / "observability" / "naming.py").read_text()
    recorded = {rule["record"] for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
                for rule in group["rules"] if "record" in rule}  # fmt: skip
    used = set()
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                expression = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", rule["expr"])
                used |= set(re.findall(r"\b(?:gateway|target|success|avg|error|system|DCGM)[\w:]*", expression))
    assert len(used) > 12
    for name in used - recorded:
        base = re.sub(r"_(total|sum|count|bucket)$", "", name)
        assert name.startswith("DCGM_") or f'"{base}"' in published or f'"{name}"' in published, name


def test_the_page_of_the_reports_budget_chart_is_the_fast_burn_alert() -> None:
    fast = next(rule for rule in alerts() if rule["alert"] == "ErrorBudgetBurnFast")
    assert f"> {BURN_RATE_PAGE:g} * 0.001" in str(fast["expr"])


def test_prometheus_loads_the_rules_and_compose_mounts_them() -> None:
    assert yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"] == ["rules/*.yml"]
    service = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())["services"]["prometheus"]
    assert "./prometheus/rules:/etc/prometheus/rules:ro" in service["volumes"]


def test_what_the_harness_reads_of_the_rules_is_what_they_say() -> None:
    known = {rule.name: rule for rule in known_rules()}
    assert set(known) == {str(rule["alert"]) for rule in alerts()} - {WATCHDOG}
    assert (known["HighErrorRate"].for_s, known["HighErrorRate"].range_s) == (300, 300)
    assert known["HighErrorRate"].metrics == ("gateway_requests_total",)
    assert (known["ErrorBudgetBurnCreeping"].for_s, known["ErrorBudgetBurnCreeping"].range_s) == (0, 259_200)
    assert known["Stalled"].earliest_s == 9
    assert known["Stalled"].metrics == ("target_generated_tokens_total", "target_running")


def test_every_alert_says_which_faults_bring_it_about_and_there_are_such_faults() -> None:
    # No fault here has a GPU's memory, and none guesses keys.
    assert {rule.name for rule in known_rules() if not rule.faults} == {"HighGpuMemory", "FailedLogins"}
    for rule in known_rules():
        unknown = [pattern for pattern in rule.faults if not fnmatch.filter(FAULTS, pattern)]
        assert unknown == [], rule.name
