"""What is known of a scenario's verdict: on the target as the file describes it, and on its two control halves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from harness.model.fault import STRICT
from harness.model.target import TargetOptions
from harness.model.verdict import VerdictOutcome

__all__ = [
    "HALVES",
    "PASSES",
    "Expectation",
    "Expected",
    "Half",
    "Known",
    "expectation",
    "known_outcome",
    "unexpected",
]

Known: TypeAlias = Literal["pass", "fail"]
Half: TypeAlias = Literal["fragile", "hardened"]
HALVES: tuple[Half, ...] = ("fragile", "hardened")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The verdict that must come out, and why."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    outcome: Known = "pass"
    because: str | None = None
    """Of a fail: the limit under observe or claim that must be broken, as in recovery_s."""
    target: TargetOptions | None = None
    """Of a half: how its target is set up instead of `target`; its protection is the half's all the same."""


PASSES = Expectation()


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The known verdicts. `fragile` and `hardened` together make a control pair; pass or fail alone is short."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    as_written: Known | Expectation = "pass"
    """On the target as the file describes it; what --as-expected and --harness-as-expected compare with."""
    fragile: Known | Expectation | None = None
    """With every protection off; it must fail, or the scenario finds nothing."""
    hardened: Known | Expectation | None = None
    """With every protection on."""


def expectation(expected: Known | Expected, half: Half | None = None) -> Expectation | None:
    """What must come out on a half, or (None) as written; None: the file does not say."""
    if not isinstance(expected, Expected):
        return None if half else Expectation(outcome=expected)
    said = {None: expected.as_written, "fragile": expected.fragile, "hardened": expected.hardened}[half]
    return said if said is None or isinstance(said, Expectation) else Expectation(outcome=said)


def known_outcome(expected: Known | Expected, half: Half | None = None) -> VerdictOutcome | None:
    """The verdict that the file names; None: it does not say."""
    known = expectation(expected, half)
    return None if known is None else VerdictOutcome(known.outcome)


def unexpected(expected: Known | Expected, half: Half | None, outcome: VerdictOutcome) -> str:
    """What is wrong with this verdict, for --as-expected; empty when it is the one that the file names."""
    known = known_outcome(expected, half)
    return "" if outcome == known else f"the verdict is {outcome}, and its file names {known or 'none'} under 'expect'"
