"""Soak files: from text to a SoakFile, or to every problem at once with its line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from harness.model.errors import Problem, ScenarioError
from harness.model.fault import Fault
from harness.model.soak import OBJECTIVES, SoakFile
from harness.plan.parse import clashes, parse_faults
from harness.plan.shared_rules import limit_problems, name_problems, set_by_parser_problems
from harness.plan.validation import Found, adapter, explain, first_comment, read_mapping
from harness.plan.yaml_lines import Document, Path, YamlProblem, read_yaml

__all__ = ["is_soak_file", "parse_soak"]

_COUNTED = ("events", "exposure_days", "source")
_ASSUMED = ("assumed_per_30_days", "at_most_per_30_days")


def is_soak_file(text: str) -> bool:
    """Whether a YAML text describes days, as only a soak file does; False for what is no YAML."""
    try:
        value = read_yaml(text).value
    except YamlProblem:
        return False
    return isinstance(value, dict) and "days" in value


def parse_soak(text: str, file: str) -> SoakFile:
    """Read a soak file. Raises ScenarioError with every problem found; `file` is only for the messages."""
    document = read_mapping(text, file, "a soak file is a mapping of keys such as name, days and faults")
    body, injected, problems = _without_injections(document)
    soak: SoakFile | None = None
    try:
        soak = adapter(SoakFile).validate_python(body)
    except pydantic.ValidationError as error:
        problems += [explain(details, SoakFile, (), document) for details in error.errors()]
    problems += list(_rules(document.value, document))
    if problems or soak is None:
        raise ScenarioError([Problem(file, line, message) for line, message in sorted(set(problems))])
    types = tuple(
        dataclasses.replace(one, inject=tuple(faults)) for one, faults in zip(soak.faults, injected, strict=True)
    )
    lines = {".".join(str(part) for part in path): line for path, line in document.lines.items() if path}
    hypothesis = soak.hypothesis or first_comment(text)
    return dataclasses.replace(soak, faults=types, hypothesis=hypothesis, file=file, lines=lines)


def _without_injections(document: Document) -> tuple[dict[str, Any], list[list[Fault]], list[Found]]:
    """The body without what each type injects, that apart (as faults know their own kinds), and what is wrong."""
    body = dict(document.value)
    types = body.get("faults")
    found: list[list[Fault]] = []
    problems: list[Found] = []
    if not isinstance(types, list):
        return body, found, problems
    rest = []
    for index, one in enumerate(types):
        below: Path = ("faults", index, "inject")
        if not isinstance(one, dict):
            rest.append(one)
            continue
        faults, wrong = parse_faults(one.get("inject", []), document, below)
        if not wrong and faults:
            wrong = list(clashes(faults, document, below))
        if not one.get("inject"):
            wrong.append((document.line(below), f"faults.{index}.inject: name at least one fault, as {{kind: …}}"))
        found.append(faults)
        problems += wrong
        rest.append({key: value for key, value in one.items() if key != "inject"})
    body["faults"] = rest
    return body, found, problems


def _rules(body: Mapping[str, Any], document: Document) -> Iterator[Found]:
    """What types cannot say, on the raw values, so that it is found beside the problems of the types."""
    yield from name_problems(body.get("name"), ("name",), document)
    yield from set_by_parser_problems(body, document)
    if not body.get("faults"):
        yield document.line(("faults",)), "faults: name at least one fault type: without faults use a scenario"
    if not body.get("objectives"):
        yield document.line(("objectives",)), f"objectives: name at least one of {', '.join(sorted(OBJECTIVES))}"
    yield from _types(body.get("faults"), document)
    yield from _week(body.get("week"), document)
    yield from limit_problems("objectives", body.get("objectives"), OBJECTIVES, "is projected", document)
    measure = body.get("measure")
    if isinstance(measure, Mapping):
        low, high = measure.get("gap_s_min", 1.0), measure.get("gap_s_max", 7.0)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield document.line(("measure", "gap_s_min")), f"measure.gap_s_min: {low:g} is above gap_s_max, {high:g}"


def _types(types: Any, document: Document) -> Iterator[Found]:
    if not isinstance(types, list):
        return
    seen: set[str] = set()
    for index, one in enumerate(types):
        if not isinstance(one, Mapping):
            continue
        name = one.get("name")
        yield from name_problems(name, ("faults", index, "name"), document)
        if isinstance(name, str):
            if name in seen:
                yield document.line(("faults", index, "name")), f"faults.{index}.name: '{name}' is there twice"
            seen.add(name)
        yield from _rate(one.get("rate"), ("faults", index, "rate"), document)


def _rate(rate: Any, at: Path, document: Document) -> Iterator[Found]:
    """Counted, with all three parts, or assumed."""
    if not isinstance(rate, Mapping):
        return
    name = ".".join(str(part) for part in at)
    counted = [key for key in _COUNTED if rate.get(key) not in (None, "")]
    assumed = [key for key in _ASSUMED if rate.get(key) is not None]
    if counted and assumed:
        yield document.line(at), f"{name}: a rate is counted or assumed, not both"
    elif counted:
        for key in _COUNTED:
            if key not in counted:
                why = "a rate needs events, exposure_days and source; without data say assumed_per_30_days"
                yield document.line(at), f"{name}.{key}: is missing: {why}"
    elif "assumed_per_30_days" not in assumed:
        yield document.line(at), f"{name}: give events, exposure_days and source, or assumed_per_30_days"
    low, high = rate.get("assumed_per_30_days"), rate.get("at_most_per_30_days")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield document.line((*at, "at_most_per_30_days")), f"{name}.at_most_per_30_days: is below the guess, {low:g}"


def _week(week: Any, document: Document) -> Iterator[Found]:
    if not isinstance(week, Mapping):
        return
    for key, length in (("hours", 24), ("weekdays", 7)):
        weights = week.get(key)
        if not isinstance(weights, list):
            continue
        if len(weights) != length:
            yield document.line(("week", key)), f"week.{key}: needs {length} weights, not {len(weights)}"
        elif all(isinstance(one, int | float) for one in weights) and sum(weights) == 0:
            yield document.line(("week", key)), f"week.{key}: at least one weight must be above 0"
