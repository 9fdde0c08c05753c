"""What a projection says, whole: nothing in a report is computed later than here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model.verdict import Estimate, Finding, VerdictOutcome

__all__ = [
    "BreakEven",
    "Calendar",
    "DriftResult",
    "Fan",
    "HistoryRow",
    "Improvement",
    "ObjectiveResult",
    "Overlap",
    "SoakReport",
    "TypeResult",
]


@dataclass(frozen=True)
class BreakEven:
    """The rate of an assumed fault above which an objective is no longer met; others as declared."""

    fault_type: str
    per_30_days: (
        float | None
    )  # None: it holds at the end of the range, or not even without the fault; `words` says which
    words: str


@dataclass(frozen=True)
class ObjectiveResult:
    """One row of the 30-day table."""

    name: str
    minimum: float | None
    maximum: float | None
    confidence: float
    projected: Estimate  # median over months, with the 95 % prediction interval of one month
    p_met: float | None  # None: a rate is assumed, or something is not estimable
    p_met_range: tuple[float, float] | None  # with every assumed rate at the end of its range, and without those faults
    break_even: tuple[BreakEven, ...]
    outcome: VerdictOutcome
    reason: str
    rests_on: str


@dataclass(frozen=True)
class TypeResult:
    """What was measured of one fault type, and what it does to a month."""

    name: str
    injects: tuple[str, ...]
    n: int
    thrown_out: int
    censored: int
    incidents: int
    rate: str  # in words: events, exposure, source; or that it is assumed
    per_30_days: Estimate
    lost: Estimate  # requests that one fault costs at the mean load: mean
    recovery: Mapping[str, Estimate]  # p50, p90, p95
    stages: Mapping[str, float | None]  # median of detect_s, isolate_s, restore_s, verify_s, loading_s
    loading_share: float | None  # of the time until the replica was admitted again
    slow_mean: float | None
    wrong: int
    recoveries: tuple[tuple[float, float | None], ...]  # of every trial; (0, 0): nothing was lost
    pages: Mapping[str, float]  # tier -> share of trials that would have raised it
    lost_per_month: float  # requests, mean over months
    budget_share: float  # of the error budget, mean over months


@dataclass(frozen=True)
class Improvement:
    """What if one thing were better."""

    what: str
    lost_saved: float  # requests a month, mean
    success_rate: float  # median over months
    p_met: float | None  # of the success rate; None: no such objective


@dataclass(frozen=True)
class Calendar:
    """One simulated month, day by day."""

    label: str
    success_rate: float
    failures: int
    lost: tuple[int, ...]  # requests, each day
    faults: tuple[tuple[str, ...], ...]  # names, each day


@dataclass(frozen=True)
class Fan:
    """What is left of the error budget at the end of each day: quantile of the months -> share, 1 at the beginning."""

    quantiles: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class HistoryRow:
    """One night of the store."""

    run_id: str
    wall_begin: str
    build: str
    pooled: bool
    trials: int
    thrown_out: int
    fault_free_success: float | None
    recovery_s_p50: Mapping[str, float | None]
    lost_mean: Mapping[str, float | None]


@dataclass(frozen=True)
class DriftResult:
    """How one quantity ages. Slopes in its own unit; each may be not estimable, and its method then says why."""

    source: str
    quantity: str
    stretches: int
    hours: float  # watched, all stretches together
    level: float | None  # the mean of the last stretch
    per_hour: Estimate
    per_hour_alone: Estimate
    per_million_requests: Estimate
    bends: bool
    limit: float | None
    hours_to_limit: Estimate  # from the end of the last stretch on


@dataclass(frozen=True)
class Overlap:
    """One month request by request: what its faults lose together, and each alone, in requests."""

    faults: int
    requests: int  # that were simulated: those around the faults
    together: int
    alone: int
    projected: float  # by the renewal model, of the same faults
    backlog_max: int  # the longest queue of one replica
    left_out: tuple[str, ...]  # fault types that the simulator does not know


@dataclass(frozen=True)
class SoakReport:
    """A projection calibrated on N verified trials."""

    soak: str
    hypothesis: str
    outcome: VerdictOutcome
    reason: str
    days: int
    months: int
    seed: int
    trials: int  # verified
    thrown_out: int
    measured_s: float  # real time under load, all nights
    requests_per_month: float
    slo: float
    objectives: tuple[ObjectiveResult, ...]
    described: Mapping[
        str, Any
    ]  # rows without an objective: run time, latency percentiles, lost in the fault-free part
    types: tuple[TypeResult, ...]
    fault_free_lost_per_month: float
    improvements: tuple[Improvement, ...]
    calendars: tuple[Calendar, ...]
    fan: Fan
    drift: tuple[tuple[float, int, int, float], ...]  # fault-free minutes of the latest night
    findings: tuple[Finding, ...]
    history: tuple[HistoryRow, ...]
    limits: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    overlap: Overlap | None = None
    ageing: tuple[DriftResult, ...] = ()
    not_sampled: tuple[str, ...] = ()  # what may age unseen, and why
