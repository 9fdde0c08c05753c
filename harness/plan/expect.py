"""The key `expect` of a scenario file: every problem in words, since a union of types has none of its own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pydantic

from harness.model.expectation import HALVES
from harness.model.target import TargetOptions
from harness.model.threshold_profiles import PROFILES
from harness.plan.yaml_lines import Document, Path

__all__ = ["expect_problems"]

_OUTCOMES = ("pass", "fail")
_KEYS = ("as_written", *HALVES)
_MUST_BE = {"fragile": "fail", "hardened": "pass"}
_OF_ONE = ("outcome", "because", "target")


def expect_problems(body: Mapping[str, Any], document: Document) -> Iterator[tuple[int, str]]:
    """(line, problem) of everything wrong below `expect`."""
    if "expect" not in body:
        return
    expected, limited = body["expect"], _limited(body)
    if not isinstance(expected, Mapping):
        yield from _outcome(expected, ("expect",), document)
        return
    yield from _unknown(expected, _KEYS, ("expect",), document)
    for key in _KEYS:
        if key in expected and expected[key] is not None:
            yield from _one(expected[key], ("expect", key), limited, document)


def _one(said: Any, path: Path, limited: set[str], document: Document) -> Iterator[tuple[int, str]]:
    outcome = said.get("outcome", "pass") if isinstance(said, Mapping) else said
    wanted = _MUST_BE.get(str(path[-1]), outcome)
    if outcome != wanted and outcome in _OUTCOMES:
        yield document.line(path), f"{_name(path)}: must be {wanted}, or the pair tells nothing"
    if not isinstance(said, Mapping):
        yield from _outcome(said, path, document)
        return
    yield from _unknown(said, _OF_ONE, path, document)
    yield from _outcome(said.get("outcome", "pass"), (*path, "outcome"), document)
    because = said.get("because")
    at = (*path, "because")
    if because is not None and because not in limited:
        known = ", ".join(sorted(limited)) or "none"
        yield document.line(at), f"{_name(at)}: '{because}' is no limit of this scenario; it has: {known}"
    elif because is not None and said.get("outcome", "pass") != "fail":
        yield document.line(at), f"{_name(at)}: a reason is for outcome: fail"
    if "target" in said:
        yield from _target(said["target"], path, document)


def _target(target: Any, path: Path, document: Document) -> Iterator[tuple[int, str]]:
    at = (*path, "target")
    if path[-1] not in HALVES:
        yield document.line(at), f"{_name(at)}: only a half has a target of its own"
        return
    if isinstance(target, Mapping) and "protection" in target:
        yield document.line((*at, "protection")), f"{_name(at)}.protection: is the half's own"
    try:
        _targets().validate_python(target)
    except pydantic.ValidationError as error:
        for details in error.errors():
            where = (*at, *details["loc"])
            yield document.line(where), f"{_name(where)}: {details['msg'][0].lower()}{details['msg'][1:]}"


@cache
def _targets() -> pydantic.TypeAdapter[TargetOptions]:
    return pydantic.TypeAdapter(TargetOptions)


def _outcome(said: Any, path: Path, document: Document) -> Iterator[tuple[int, str]]:
    if said not in _OUTCOMES:
        yield document.line(path), f"{_name(path)}: pass or fail, not {said!r}"


def _unknown(
    given: Mapping[Any, Any], known: tuple[str, ...], path: Path, document: Document
) -> Iterator[tuple[int, str]]:
    for key in given:
        if key not in known:
            at = (*path, str(key))
            close = difflib.get_close_matches(str(key), known, n=1)
            more = f" (did you mean '{close[0]}'?)" if close else f"; known: {', '.join(known)}"
            yield document.line(at), f"{_name(at)}: unknown key{more}"


def _limited(body: Mapping[str, Any]) -> set[str]:
    """What the scenario limits, under observe and claim."""
    parts = (body.get("observe"), body.get("claim"))
    profile = PROFILES.get(body.get("thresholds"))  # type: ignore[arg-type]  # what is none is said elsewhere
    return {str(name) for part in (*parts, profile) if isinstance(part, Mapping) for name in part}


def _name(path: Path) -> str:
    return ".".join(str(part) for part in path)
