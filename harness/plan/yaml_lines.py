"""YAML with the line of every key, so that a problem can be shown where it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["Document", "Path", "YamlProblem", "read_yaml"]

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML whose only truth values are true and false, as in YAML 1.2: `on` is a key here, not a synonym of true."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class YamlProblem(Exception):
    """The text is not YAML, or not the YAML we take."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(message)


@dataclass(frozen=True)
class Document:
    """The value of a YAML text and the line (from 1) of each key and item."""

    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of `path`, or of its nearest parent that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> Document:
    """Parse one YAML document. Raises YamlProblem; a duplicate key is one, since YAML would drop the first silently."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise YamlProblem(1, f"not YAML: {str(error).splitlines()[0]}") from error
    try:
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        if node is not None:
            _walk(node, (), (lines, set()))
        return Document(loader.construct_document(node) if node is not None else None, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(mark.line + 1 if mark else 1, error.problem or "not YAML") from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # PyYAML lets all of these out for values that do not fit their tags, such as !!int "" or 2026-02-30
        said = " ".join(str(error).split()) or type(error).__name__
        raise YamlProblem(1, f"not YAML: {said}") from error
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: Path, found: tuple[dict[Path, int], set[int]]) -> None:
    lines, walked = found
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in walked:
        return  # an alias: walking it again would take exponential time, or for ever
    walked.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in seen:
                raise YamlProblem(line, f"'{name}' is given twice")
            seen.add(name)
            lines[(*path, name)] = line
            _walk(value, (*path, name), found)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), found)
