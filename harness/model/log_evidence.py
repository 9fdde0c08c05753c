"""What the target's logs say beside the verdict: rules that held, and windows unlike those of the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Ge

from harness.model.fault import STRICT, SecondsAboveZero

__all__ = ["LogEvidence", "LogMark", "LogRecord", "LogRule", "RuleHit"]


class LogRecord(NamedTuple):
    """One line of a log, placed on the run's clock."""

    at_s: float
    source: str  # the file's name in the run's folder `stack/`
    text: str
    weight: float = 1.0  # lines that it stands for: more than 1 of a file that was read in part


@dataclass(frozen=True, kw_only=True)
class LogRule:
    """A threshold over a sliding window (seed 96): so many matching lines of one log within so many seconds."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    name: str
    """What it means that the rule holds, in a few words."""
    pattern: str
    """A regular expression of Python, searched in each line, upper and lower case alike."""
    at_least: Annotated[int, Ge(1)] = 1
    """Matching lines."""
    within_s: SecondsAboveZero = 10.0
    """Length of the sliding window."""
    access: bool = False
    """Whether access logs are searched as well."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"'{self.pattern}' is no regular expression ({error})") from error


@dataclass(frozen=True)
class RuleHit:
    """A rule that held. Times are seconds from the schedule's begin, of the first and the last matching line."""

    rule: str
    source: str
    begin_s: float
    end_s: float
    lines: int
    example: str  # the first line


@dataclass(frozen=True)
class LogMark:
    """Windows in a row that are less usual than every window of the baseline. Seconds from the schedule's begin."""

    begin_s: float
    end_s: float
    score: float  # of the most unusual one, 0 to 1
    words: str  # in what it differs


@dataclass(frozen=True)
class LogEvidence:
    """Never part of a verdict."""

    window_s: float
    windows: int  # after the baseline
    baseline_windows: int
    why_not: str  # why there can be no marks; empty: there can
    marks: tuple[LogMark, ...] = ()
    marked_windows: int = 0
    by_chance: float = 0.0  # marked windows to be expected of a run in which nothing is unusual
    hits: tuple[RuleHit, ...] = ()
    notes: tuple[str, ...] = ()  # what was not read, and why
