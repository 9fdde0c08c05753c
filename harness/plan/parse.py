"""Scenario files: from text to a Scenario, or to every problem at once with its line.

The dataclasses of `harness.model` are the only description of the format; pydantic reads them for types, bounds and the
published JSON Schema.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pydantic

from harness.model.errors import Problem, ScenarioError
from harness.model.exec_fault import ExecFault
from harness.model.fault import Fault
from harness.model.faults import FAULTS, ProcessKill, ProcessPause, ProcessStop
from harness.model.network_faults import STREAM_FAULTS, NetworkFault
from harness.model.scenario import Scenario
from harness.model.service_faults import ServiceFault, ServiceSlowLoad, ServiceStaleCache
from harness.model.supervision import OPTIONS_OF
from harness.model.threshold_profiles import PROFILES
from harness.model.weights_faults import WeightsFault
from harness.plan.clashes import clash_of_absence, ends_engine
from harness.plan.expect import expect_problems
from harness.plan.objectives import CLAIMS, OBSERVABLES
from harness.plan.objectives_from import KEY, in_full
from harness.plan.resource_clashes import resource_clash, too_small
from harness.plan.shared_rules import NAME, limit_problems, name_problems, set_by_parser_problems
from harness.plan.validation import SET_BY_PARSER, Found, adapter, explain, first_comment, read_mapping, suggest
from harness.plan.yaml_lines import Document, Path

__all__ = ["clashes", "json_schema", "parse_faults", "parse_scenario"]

JUDGED = "can be judged"


def parse_scenario(text: str, file: str) -> Scenario:
    """Read a scenario. Raises ScenarioError with every problem found; `file` is only for the messages."""
    document = read_mapping(text, file, "a scenario is a mapping of keys such as name, load and faults")
    if "days" in document.value:
        what = f"this is a soak file, not a scenario: use 'harness soak check {file}'"
        raise ScenarioError([Problem(file, document.line(("days",)), what)])
    body = in_full(document.value)
    faults, problems = parse_faults(body.pop("faults", []), document)
    scenario: Scenario | None = None
    try:
        scenario = adapter(Scenario).validate_python(body)
    except pydantic.ValidationError as error:
        found = [details for details in error.errors() if details["loc"][:1] != ("expect",)]  # in words of ours, below
        problems += [explain(details, Scenario, (), document) for details in found]
    problems += list(expect_problems(document.value, document))
    problems += list(_rules(document.value, document))
    if not problems:
        problems += list(clashes(faults, document))  # needs every fault, whole
    if problems or scenario is None:
        raise ScenarioError([Problem(file, line, message) for line, message in sorted(set(problems))])
    hypothesis = scenario.hypothesis or first_comment(text)
    lines = {".".join(str(part) for part in path): line for path, line in document.lines.items() if path}
    observe = {**(PROFILES[scenario.thresholds] if scenario.thresholds else {}), **scenario.observe}
    whole = dataclasses.replace(scenario, faults=tuple(faults), hypothesis=hypothesis, observe=observe)
    return dataclasses.replace(whole, file=file, lines=lines)


def json_schema(alerts: Sequence[str] = ()) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file. `alerts`: names of the alert rules that there are, if known."""
    schema = adapter(Scenario).json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Scenario"
    for name in SET_BY_PARSER:
        schema["properties"].pop(name)
    kinds = []
    for kind, cls in FAULTS.items():
        one = adapter(cls).json_schema()
        one["required"] = sorted({"kind", *one.get("required", [])})
        schema["$defs"][kind] = one
        kinds.append({"$ref": f"#/$defs/{kind}"})
    schema["properties"]["faults"]["items"] = {"oneOf": kinds}
    schema["$defs"].pop("Fault", None)
    schema["properties"]["name"]["pattern"] = f"^{NAME.pattern}$"
    schema["properties"]["observe"]["propertyNames"] = {"enum": sorted(OBSERVABLES)}
    schema["properties"]["claim"]["propertyNames"] = {"enum": sorted(CLAIMS)}
    schema["properties"][KEY]["anyOf"].append({"type": "string"})
    if alerts:
        schema["properties"]["alerts"]["propertyNames"] = {"enum": sorted(alerts)}
    return schema


def parse_faults(raw: Any, document: Document, below: Path = ("faults",)) -> tuple[list[Fault], list[Found]]:
    """The faults of a list that stands at `below`, and what is wrong with the others."""
    if not isinstance(raw, list):
        name = ".".join(str(part) for part in below)
        return [], [(document.line(below), f"{name}: must be a list of faults, each {{kind: …}}")]
    faults: list[Fault] = []
    problems: list[Found] = []
    for index, item in enumerate(raw):
        at: Path = (*below, index)
        kind = item.get("kind") if isinstance(item, dict) else None
        if not isinstance(kind, str) or kind not in FAULTS:
            problems.append((document.line((*at, "kind")), _unknown_kind(kind)))
            continue
        try:
            faults.append(adapter(FAULTS[kind]).validate_python(item))
        except pydantic.ValidationError as error:
            problems += [explain(details, FAULTS[kind], at, document) for details in error.errors()]
    return faults, problems


def clashes(faults: Sequence[Fault], document: Document, below: Path = ("faults",)) -> Iterator[Found]:
    """Faults of the model files that would be over before they are loaded; faults that heal into each other."""
    for index, fault in enumerate(faults):
        if fault.problem is not None:
            key, problem = fault.problem
            yield document.line(("faults", index, key)), f"faults.{index}.{key}: {problem}"
        yield from _commands(index, fault, document)
        if (
            isinstance(fault, WeightsFault)
            and fault.restart_after_s is not None
            and fault.restart_after_s >= fault.for_s
        ):
            at: Path = (*below, index, "restart_after_s")
            yield document.line(at), f"faults.{index}.restart_after_s: must be below for_s, {fault.for_s:g}"
        if isinstance(fault, ServiceSlowLoad) and fault.slow_load_s >= fault.for_s:
            at = (*below, index, "slow_load_s")
            yield document.line(at), f"faults.{index}.slow_load_s: must be below for_s, {fault.for_s:g}"
        for key, problem in too_small(fault):
            yield document.line(("faults", index, key)), f"faults.{index}.{key}: {problem}"
    order = sorted(enumerate(faults), key=lambda item: item[1].at_s)
    for (_, one), (index, other) in itertools.combinations(order, 2):
        what = _clash(one, other) if other.at_s < one.at_s + one.lasts_s else None
        if what:
            yield document.line((*below, index)), f"faults.{index}: {what}; let the earlier fault end first"


def _commands(index: int, fault: Fault, document: Document) -> Iterator[Found]:
    """Each of them is needed: a fault that nobody can take back, or see, is not injected."""
    for name in ("do", "undo", "verify") if isinstance(fault, ExecFault) else ():
        if not getattr(fault, name):
            line = document.line(("faults", index, name))
            yield line, f"faults.{index}.{name}: name a program and its arguments, as in [kubectl, get, pods]"


def _clash(one: Fault, other: Fault) -> str | None:
    """Why two faults cannot be there at once: they heal into each other, or the one would prove the other."""
    if what := clash_of_absence(one, other):
        return what
    if isinstance(one, WeightsFault) and isinstance(other, WeightsFault) and one.on == other.on:
        return f"the files of {other.on} are already damaged then"
    if one.on == other.on and any(isinstance(fault, ServiceFault) for fault in (one, other)):
        return _service_clash(one, other) or resource_clash(one, other)
    if isinstance(one, NetworkFault) and isinstance(other, NetworkFault):
        if one.on == other.on:
            return f"the link to {other.on} is already broken then, and one fault would be taken for the other"
        if any(fault.on == "gateway" and isinstance(fault, STREAM_FAULTS) for fault in (one, other)):
            return "a token stream passes both links, and a fault on the one would be taken for that on the other"
    return resource_clash(one, other)


def _service_clash(one: Fault, other: Fault) -> str | None:
    """A fault of the service lives in its process: what stops or replaces that ends it, or keeps it from its end."""
    if any(isinstance(fault, ServiceStaleCache) for fault in (one, other)) and any(map(ends_engine, (one, other))):
        return None  # kept answers are the server's, and outlive the engine that gave them
    if isinstance(one, ServiceFault) and isinstance(other, ServiceFault):
        return f"{other.on} has {one.kind} already then, and one fault would be taken for the other"
    restarts = isinstance(other, WeightsFault) and other.restart_after_s is not None
    restarts = restarts or (isinstance(one, WeightsFault) and one.restart_after_s is not None)
    if restarts or any(isinstance(fault, ProcessKill | ProcessPause | ProcessStop) for fault in (one, other)):
        return f"a fault of the service ends with its process, and {one.kind} and {other.kind} want that of {other.on}"
    return None


def _unknown_kind(kind: object) -> str:
    if kind is None:
        return "faults: each fault needs a kind; 'harness faults' lists them"
    return f"faults: there is no kind '{kind}'{suggest(str(kind), FAULTS)}"


def _rules(body: Mapping[str, Any], document: Document) -> Iterator[Found]:
    """What types cannot say. Works on the raw values, so that it finds its problems beside those of the types."""
    yield from name_problems(body.get("name"), ("name",), document)
    yield from set_by_parser_problems(body, document)
    load = body.get("load")
    if isinstance(load, Mapping) and load.get("mix") == {}:
        yield document.line(("load", "mix")), "load.mix: name at least one task"
    yield from _supervision(body.get("target"), document)
    yield from _balancer(body.get("target"), document)
    yield from limit_problems("observe", body.get("observe"), OBSERVABLES, JUDGED, document)
    yield from limit_problems("claim", body.get("claim"), CLAIMS, JUDGED, document)
    if not body.get("faults"):
        yield from _without_faults(body, document)


def _supervision(target: Any, document: Document) -> Iterator[Found]:
    """Options that the chosen supervisor does not have."""
    options = target.get("supervision") if isinstance(target, Mapping) else None
    if not isinstance(options, Mapping):
        return
    default = "unexpected" if target.get("protection") == "fragile" else "budget"
    chosen = target.get("supervisor") or default
    known = OPTIONS_OF.get(chosen) if isinstance(chosen, str) else None  # type: ignore[call-overload]
    if known is None:
        return  # an unknown supervisor is a problem of its own
    for name in sorted(str(name) for name in options if name not in known):
        having = [f"'{one}'" for one, names in OPTIONS_OF.items() if name in names]
        if having:
            line = document.line(("target", "supervision", name))
            has = "has" if len(having) == 1 else "have"
            yield line, f"target.supervision.{name}: only {' and '.join(having)} {has} it, not '{chosen}'"


def _balancer(target: Any, document: Document) -> Iterator[Found]:
    """Options of a gateway that is not there."""
    if isinstance(target, Mapping) and target.get("balancer") == "haproxy" and target.get("gateway"):
        yield document.line(("target", "gateway")), "target.gateway: HAProxy has none of the gateway's options"


def _without_faults(body: Mapping[str, Any], document: Document) -> Iterator[Found]:
    observe = body.get("observe")
    names = list(observe) if isinstance(observe, Mapping) else []
    for name in names:
        if OBSERVABLES.get(str(name)) == "episode":
            yield (
                document.line(("observe", str(name))),
                f"observe.{name}: there are no faults, so there are no episodes to look at",
            )
    if body.get("alerts"):
        yield (
            document.line(("alerts",)),
            "alerts: there are no faults, so there are no episodes in which one could fire",
        )
    if isinstance(body.get("episodes"), int) and body["episodes"] > 1:
        yield document.line(("episodes",)), "episodes: there are no faults, so there is nothing to repeat"
