"""A Scenario as the text of a file: what differs from the defaults, in the order of the format."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from harness.model.scenario import Scenario

__all__ = ["scenario_text"]

_NOT_IN_A_FILE = frozenset({"file", "half", "hypothesis", "lines", "objectives_from", "thresholds"})
_WIDTH = 120


def scenario_text(scenario: Scenario, comments: Sequence[str] = ()) -> str:
    """Parsing it gives the scenario again, with its half's target written out; its hypothesis is the first line.

    One of several lines, as a Python test may have, becomes one.
    """
    head = [" ".join(scenario.hypothesis.split()) or scenario.name, *([""] if comments else []), *comments]
    body = {name: value for name, value in _plain(scenario).items() if name not in _NOT_IN_A_FILE}
    body["faults"] = [{"kind": fault.kind, **_plain(fault)} for fault in scenario.faults]
    if scenario.half is not None:
        body.pop("expect", None)  # it was of both halves, and this is one
    lines = "".join(f"# {line}".rstrip() + "\n" for line in head)
    parts = (yaml.safe_dump({name: value}, sort_keys=False, width=_WIDTH) for name, value in body.items())
    return lines + "".join(parts)


def _plain(value: Any) -> dict[str, Any]:
    """Fields of a dataclass that are not as by default."""
    found = {}
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if given != default or default is dataclasses.MISSING:
            found[field.name] = _data(given)
    return found


def _data(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(value)
    if isinstance(value, Mapping):
        return {str(name): _data(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    return value
