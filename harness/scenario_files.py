"""Scenario files and what they refer to, read from the disk: OpenSLO files, and the rules of a Prometheus."""

from __future__ import annotations

from pathlib import Path

from harness.model.alerts import AlertRule
from harness.model.errors import Problem, ScenarioError, StackError
from harness.model.scenario import Scenario
from harness.plan.alert_rules import rules_in
from harness.plan.alerts import unknown_alerts
from harness.plan.objectives_from import with_objectives
from harness.plan.parse import parse_scenario
from harness.stack.base import Stack
from harness.stack.watched import RULES, Watched

__all__ = ["known_rules", "read_scenario", "rules_of"]


def read_scenario(path: Path, shown: str) -> Scenario:
    """The scenario of a file, with the objectives of the OpenSLO file that it names.

    `shown`: its name in messages. Raises ScenarioError with every problem; OSError and UnicodeDecodeError of the file
    itself.
    """
    scenario = parse_scenario(path.read_text(encoding="utf-8"), shown)
    if scenario.objectives_from is not None:
        scenario = _with_slo(scenario, path)
    if scenario.alerts:
        found = [(scenario.lines.get(key, 1), f"{key}: {why}") for key, why in unknown_alerts(scenario, known_rules())]
        if found:
            raise ScenarioError([Problem(shown, line, message) for line, message in found])
    return scenario


def known_rules(folder: Path = RULES) -> tuple[AlertRule, ...]:
    """The alerts of the rule files in a folder. Raises ScenarioError, StackError."""
    try:
        return rules_in({str(path): path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yml"))})
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{folder}: its alert rules cannot be read: {error}") from error


def rules_of(stack: Stack) -> tuple[tuple[AlertRule, ...], str]:
    """The alert rules of a stack's Prometheus, or why it will have none."""
    if not isinstance(stack, Watched):
        return (), f"the stack '{stack.name}' starts none"
    watching = stack.watching()
    return ((), watching.why_not) if watching.why_not else (known_rules(watching.rules), "")


def _with_slo(scenario: Scenario, path: Path) -> Scenario:
    assert scenario.objectives_from is not None
    slo = path.parent / scenario.objectives_from.file
    key = "objectives_from.file" if "objectives_from.file" in scenario.lines else "objectives_from"
    try:
        text = slo.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        what = f"{key}: {slo} cannot be read ({said}); it is looked for beside the scenario"
        raise ScenarioError([Problem(scenario.file, scenario.lines.get(key, 1), what)]) from error
    return with_objectives(scenario, text, str(slo))
