"""All past runs together, and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.model.verdict import Estimate, Interval, VerdictOutcome

__all__ = ["Archive", "Change", "Comparison", "Difference", "LeftOut", "RunSummary", "Trend"]


@dataclass(frozen=True)
class RunSummary:
    """One judged run, as a line of the archive. None: its verdict does not say."""

    folder: str  # below the archive's folder, with slashes
    group: str  # the folder that it shares with the other runs of a night or a campaign; empty: a run of its own
    run_id: str
    scenario: str
    stack: str
    begun: str  # ISO 8601, UTC; empty: not known
    outcome: VerdictOutcome
    reason: str
    expect: str | None  # the verdict that its file names
    seed: str
    version: str | None
    commit: str | None
    duration_s: float | None
    lost: int | None
    eligible: int | None
    wrong_answers: int | None
    success_rate: float | None
    episodes: int
    recovery_s_p50: Estimate | None
    worst_recovery_s: Interval | None  # None: nothing was lost


@dataclass(frozen=True)
class LeftOut:
    """A folder that looks like a run's and is no line of the archive."""

    folder: str
    why: str  # one sentence with the remedy
    state: Literal["live", "not judged", "broken"]


@dataclass(frozen=True)
class Change:
    """The level of a series changed."""

    quantity: str  # recovery_s_p50 or success_rate
    at: int  # index of the first run on the new level
    before: float  # median of the runs before it, back to the change before
    after: float
    p_value: float
    method: str


@dataclass(frozen=True)
class Trend:
    """The runs of one scenario on one stack, by time."""

    scenario: str
    stack: str
    runs: tuple[RunSummary, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Archive:
    """Everything that the index shows."""

    runs: tuple[RunSummary, ...]  # the latest first
    left_out: tuple[LeftOut, ...]
    trends: tuple[Trend, ...]  # by scenario and stack
    alpha: float  # probability that an archive in which nothing changed shows a mark


@dataclass(frozen=True)
class Difference:
    """One quantity of two runs, and B minus A with its interval."""

    quantity: str
    a: Any  # a number, an Interval, or None: not known
    b: Any
    by: Estimate  # B minus A; `value` None: not estimable, and `method` says why
    says: Literal["higher", "lower", "cannot tell"]


@dataclass(frozen=True)
class Comparison:
    """What changed from run A to run B, and whether the data can tell."""

    a: RunSummary
    b: RunSummary
    plan: Sequence[tuple[str, str, str]]  # key, in A, in B: of the scenario, and of what it ran on
    differences: tuple[Difference, ...]
    headline: str
    limits: tuple[str, ...]
