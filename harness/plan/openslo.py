"""An OpenSLO file (openslo/v1) as objectives of a scenario. What does not mean the same here is refused, with its line.

A ratio of good to all events, by occurrences, becomes a claim on the fault-free part of a run: production's objective
is about its own mixture of faults, and a run injects them. A threshold on latency that 99 % must keep becomes a limit
on the 99th percentile of the baseline. https://github.com/OpenSLO/OpenSLO, specification v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.errors import Problem, ScenarioError
from harness.plan.yaml_lines import Document, YamlProblem, read_yaml

__all__ = ["Objective", "as_yaml", "read_openslo"]

_LATENCY = re.compile(r"(?i)latency|duration|response.?time|ttft|first.?token")
_FIRST_TOKEN = re.compile(r"(?i)ttft|first.?token")
_UNITS_MS = {"ms": 1.0, "s": 1000.0}
_P99 = 0.99


@dataclass(frozen=True)
class Objective:
    """One objective: `block` is observe or claim, and its limit."""

    block: str
    name: str
    limit: Mapping[str, float]
    source: str  # the SLO's name


class _Refused(Exception):
    """Why an SLO cannot be mapped, and where that stands."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


def read_openslo(text: str, file: str, unit: str | None = None) -> tuple[Objective, ...]:
    """The objectives of every SLO in the text. `unit`: ms or s, of latency thresholds, which OpenSLO leaves open.

    Raises ScenarioError with every problem of the file.
    """
    problems: list[Problem] = []
    documents: list[tuple[int, Document]] = []
    for offset, part in _parts(text):
        document = _read(part, offset, file, problems)
        documents += [] if document is None else [(offset, document)]
    indicators = {str(_at(d.value, "metadata", "name")): d.value.get("spec") for _, d in documents if _kind(d) == "SLI"}
    found: list[Objective] = []
    for offset, document in documents:
        if _kind(document) != "SLO":
            continue
        try:
            found += _objectives(document.value, indicators, unit)
        except _Refused as refused:
            problems.append(Problem(file, document.line(refused.path) + offset, str(refused)))
    if not found and not problems:
        problems.append(Problem(file, 1, "there is no SLO in it (kind: SLO, apiVersion: openslo/v1)"))
    named: dict[str, str] = {}
    for objective in found:
        key = f"{objective.block}.{objective.name}"
        if key in named:
            problems.append(Problem(file, 1, f"{named[key]} and {objective.source} both become {key}: take one"))
        named[key] = objective.source
    if problems:
        raise ScenarioError(problems)
    return tuple(found)


def as_yaml(objectives: tuple[Objective, ...]) -> str:
    """The blocks `observe:` and `claim:` for a scenario."""
    lines = []
    for block in ("observe", "claim"):
        mine = [one for one in objectives if one.block == block]
        lines += [f"{block}:"] if mine else []
        for one in mine:
            limits = ", ".join(f"{side}: {value:g}" for side, value in one.limit.items())
            source = " ".join(one.source.split())
            lines.append(f"  {one.name}: {{{limits}}}  # {source}")
    return "\n".join(lines) + "\n"


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """(lines before it, text) of each YAML document."""
    part: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines()):
        if re.match(r"---(\s|$)", line):
            yield begun, "\n".join(part)
            part, begun = [], number + 1
        else:
            part.append(line)
    yield begun, "\n".join(part)


def _read(part: str, offset: int, file: str, problems: list[Problem]) -> Document | None:
    try:
        document = read_yaml(part)
    except YamlProblem as problem:
        problems.append(Problem(file, problem.line + offset, problem.message))
        return None
    if document.value is None:
        return None
    if not isinstance(document.value, dict) or document.value.get("apiVersion") != "openslo/v1":
        problems.append(Problem(file, 1 + offset, "not openslo/v1: 'apiVersion: openslo/v1' is missing"))
        return None
    return document


def _kind(document: Document) -> str:
    return str(document.value.get("kind"))


def _objectives(slo: Any, indicators: Mapping[str, Any], unit: str | None) -> Iterator[Objective]:
    spec = _map(slo, ("spec",))
    name = str(_at(slo, "metadata", "name") or "slo")
    method = spec.get("budgetingMethod", "Occurrences")
    if method != "Occurrences":
        why = f"budgetingMethod {method}: only Occurrences counts requests, which is what a run records"
        raise _Refused(("spec", "budgetingMethod"), why)
    objectives = spec.get("objectives")
    if not isinstance(objectives, list) or len(objectives) != 1:
        raise _Refused(("spec", "objectives"), "one objective is needed: composite SLOs cannot be mapped")
    indicator, sli_name = _indicator(spec, indicators, name)
    target = _target(objectives[0])
    if "ratioMetric" in indicator:
        yield Objective("claim", "baseline_success_rate", {"min": target}, name)
    elif "thresholdMetric" in indicator:
        yield _threshold(objectives[0], target, (name, sli_name), unit)
    else:
        raise _Refused(("spec", "indicator"), "the indicator has neither a ratioMetric nor a thresholdMetric")


def _indicator(spec: Mapping[str, Any], known: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], str]:
    reference = spec.get("indicatorRef")
    if reference is not None:
        found = known.get(str(reference))
        if not isinstance(found, dict):
            raise _Refused(("spec", "indicatorRef"), f"there is no SLI '{reference}' in this file")
        return found, str(reference)
    inline = _map(spec, ("indicator",), ("spec", "indicator"))
    return _map(inline, ("spec",), ("spec", "indicator", "spec")), str(_at(inline, "metadata", "name") or name)


def _target(objective: Any) -> float:
    if not isinstance(objective, dict):
        raise _Refused(("spec", "objectives", 0), "an objective is a mapping with a target")
    value = objective.get("target")
    if value is None and isinstance(objective.get("targetPercent"), int | float):
        value = objective["targetPercent"] / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise _Refused(("spec", "objectives", 0, "target"), "target must be a number between 0 and 1, as in 0.999")
    return float(value)


def _threshold(objective: Mapping[str, Any], target: float, names: tuple[str, str], unit: str | None) -> Objective:
    here = ("spec", "objectives", 0)
    words = " ".join((*names, str(objective.get("displayName", ""))))
    if not _LATENCY.search(words):
        raise _Refused(here, "a threshold is mapped only for latencies, and no name here says that it is one")
    if objective.get("op") not in ("lt", "lte"):
        raise _Refused((*here, "op"), "a latency needs 'op: lte' or 'op: lt'")
    if round(target, 6) != _P99:
        raise _Refused((*here, "target"), f"target {target:g}: a run limits the 99th percentile, which is target 0.99")
    value = objective.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _Refused((*here, "value"), "value must be a number above 0")
    if unit not in _UNITS_MS:
        raise _Refused(
            (*here, "value"),
            "the unit of a threshold is not in the file: say --unit ms or --unit s, or in a scenario "
            "objectives_from: {file: …, unit: ms}",
        )
    name = "ttft_ms_p99" if _FIRST_TOKEN.search(words) else "latency_ms_p99"
    return Objective("observe", name, {"max": value * _UNITS_MS[unit]}, names[0])


def _map(value: Any, path: tuple[str, ...], shown: tuple[str | int, ...] = ("spec",)) -> Mapping[str, Any]:
    found = _at(value, *path)
    if not isinstance(found, dict):
        raise _Refused(shown, f"'{path[-1]}' is missing or is no mapping")
    return found


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
