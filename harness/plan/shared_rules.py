"""Rules of the raw text that scenario and soak files share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.plan.validation import SET_BY_PARSER, Found, suggest
from harness.plan.yaml_lines import Document, Path

__all__ = ["NAME", "limit_problems", "name_problems", "set_by_parser_problems"]

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def name_problems(name: Any, at: Path, document: Document) -> Iterator[Found]:
    """A name that could be no folder's; what is no text at all is a problem of its type."""
    if isinstance(name, str) and not NAME.fullmatch(name):
        key = ".".join(str(part) for part in at)
        yield document.line(at), f"{key}: lower-case letters, digits and single hyphens only, not '{name}'"


def set_by_parser_problems(body: Mapping[str, Any], document: Document) -> Iterator[Found]:
    """Fields that no file may set."""
    for key in SET_BY_PARSER & set(body):
        yield document.line((key,)), f"{key}: unknown key"


def limit_problems(key: str, limits: Any, known: Mapping[str, str], done: str, document: Document) -> Iterator[Found]:
    """Limits below `key` on what is not in `known` (which can be `done`), without a bound, or the wrong way round."""
    if not isinstance(limits, Mapping):
        return
    for name, limit in limits.items():
        at: Path = (key, str(name))
        if name not in known:
            yield document.line(at), f"{key}.{name}: is not something that {done}{suggest(str(name), known)}"
        if not isinstance(limit, Mapping):
            continue
        low, high = limit.get("min"), limit.get("max")
        if low is None and high is None:
            yield document.line(at), f"{key}.{name}: give min or max"
        elif isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield document.line(at), f"{key}.{name}: min {low} is above max {high}"
