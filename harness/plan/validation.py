"""What the parsers of scenario and soak files share: how a wrong value becomes a sentence with its line."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

import pydantic
from pydantic_core import ErrorDetails

from harness.model.errors import Problem, ScenarioError
from harness.plan.yaml_lines import Document, Path, YamlProblem, read_yaml

__all__ = ["SET_BY_PARSER", "Found", "adapter", "explain", "first_comment", "read_mapping", "suggest"]

T = TypeVar("T")
Found = tuple[int, str]  # line and sentence
SET_BY_PARSER = frozenset({"file", "half", "lines"})  # fields that no file may set
_ADAPTERS: dict[type, pydantic.TypeAdapter[Any]] = {}


def read_mapping(text: str, file: str, otherwise: str) -> Document:
    """A document that is a mapping. Raises ScenarioError: no YAML, or no mapping, which `otherwise` says."""
    try:
        document = read_yaml(text)
    except YamlProblem as problem:
        raise ScenarioError([Problem(file, problem.line, problem.message)]) from problem
    if not isinstance(document.value, dict):
        raise ScenarioError([Problem(file, 1, otherwise)])
    return document


def explain(details: ErrorDetails, root: type, prefix: Path, document: Document) -> Found:
    """A problem that pydantic found below `prefix`, in our words."""
    path: Path = (*prefix, *details["loc"])
    name = ".".join(str(part) for part in path)
    line = document.line(path)
    if details["type"] == "unexpected_keyword_argument":
        known = _fields_at(root, details["loc"][:-1])
        return line, f"{name}: unknown key{suggest(str(path[-1]), known)}"
    if details["type"] in ("missing", "missing_argument"):
        return document.line(path[:-1]), f"{name}: is missing"
    given = details["input"]
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
    return line, f"{name}: {details['msg'][0].lower()}{details['msg'][1:]}{shown}"


def _fields_at(root: type, path: Iterable[str | int]) -> list[str]:
    """Names of the fields of the dataclass that stands at `path` below `root`."""
    current: Any = root
    for part in path:
        if not dataclasses.is_dataclass(current):
            return []
        hint = typing.get_type_hints(current).get(str(part))
        options = [hint, *typing.get_args(hint)]
        current = next((option for option in options if dataclasses.is_dataclass(option)), None)
    if not dataclasses.is_dataclass(current):
        return []
    return [field.name for field in dataclasses.fields(current) if field.name not in SET_BY_PARSER]


def suggest(given: str, known: Iterable[str]) -> str:
    """What may have been meant, or what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f"; known: {', '.join(names)}" if names else ""


def first_comment(text: str) -> str:
    """The first paragraph of the comment at the top of the file, as one line."""
    lines = []
    for line in text.splitlines():
        words = line.lstrip("#").strip()
        if not line.startswith("#") or not words:
            break
        lines.append(words)
    return " ".join(lines)


def adapter(kind: type[T]) -> pydantic.TypeAdapter[T]:
    """Made once for each dataclass, as making one takes a hundred times as long as using it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = pydantic.TypeAdapter(kind)
    return _ADAPTERS[kind]
