"""The text of rule files of a Prometheus -> its alerts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model.alerts import WATCHDOG, AlertRule, alert_rules
from harness.model.errors import Problem, ScenarioError
from harness.plan.yaml_lines import YamlProblem, read_yaml

__all__ = ["rules_in"]


def rules_in(texts: Mapping[str, str]) -> tuple[AlertRule, ...]:
    """`texts`: name of each file -> its text; a rule of one may take what another records. Raises ScenarioError."""
    groups: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    for file, text in texts.items():
        try:
            groups += read_yaml(text).value["groups"]
        except YamlProblem as problem:
            problems.append(Problem(file, problem.line, problem.message))
        except (KeyError, TypeError):
            problems.append(Problem(file, 1, "no rules of a Prometheus: 'groups:' is missing"))
    if problems:
        raise ScenarioError(problems)
    try:
        return tuple(rule for rule in alert_rules(groups) if rule.name != WATCHDOG)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        first = next(iter(texts), "")
        what = f"a rule cannot be read ({error}); 'promtool check rules' says which"
        raise ScenarioError([Problem(first, 1, what)]) from error
