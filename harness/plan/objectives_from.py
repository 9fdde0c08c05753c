"""`objectives_from: slo.yaml`: an OpenSLO file as the source of a scenario's objectives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.model.limit import Limit
from harness.model.scenario import Claim, Scenario
from harness.plan.openslo import read_openslo

__all__ = ["KEY", "in_full", "with_objectives"]

KEY = "objectives_from"


def in_full(body: Mapping[str, Any]) -> dict[str, Any]:
    """The raw scenario with a bare file name written out: {file: slo.yaml}."""
    named = body.get(KEY)
    return {**body, KEY: {"file": named}} if isinstance(named, str) else dict(body)


def with_objectives(scenario: Scenario, text: str, file: str) -> Scenario:
    """The scenario with the objectives of the OpenSLO file; single ones under `observe` and `claim` outrank it.

    Raises ScenarioError with every problem of that file.
    """
    assert scenario.objectives_from is not None
    observe, claim = dict(scenario.observe), dict(scenario.claim)
    lines = dict(scenario.lines)
    for one in read_openslo(text, file, scenario.objectives_from.unit):
        path = f"{one.block}.{one.name}"
        if path in lines:
            continue
        lines[path] = lines.get(KEY, 1)  # what cannot be shown is a problem of the line that asks for it
        if one.block == "claim":
            claim[one.name] = Claim(**one.limit)
        else:
            observe[one.name] = Limit(**one.limit)
    return replace(scenario, observe=observe, claim=claim, lines=lines)
