"""The soak file: what a month is like, what is claimed of it, and what may be spent on measuring it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval, Le

from harness.model.fault import STRICT, Fault, Seconds, SecondsAboveZero
from harness.model.scenario import Claim, Load, SteadyState, TargetOptions

__all__ = ["OBJECTIVES", "Bursts", "FaultRate", "FaultType", "Measure", "Simulated", "SoakFile", "Week"]

OBJECTIVES: Mapping[str, str] = {
    "success_rate": "of all requests of the month, 0 to 1",
    "failures": "fault episodes in which users lost requests",
    "downtime_s": "time until users lost no more than normal, summed over the failures",
    "latency_s_mean": "of good requests",
    "concurrency_max": "most requests in flight at once",
}
"""What a soak file can set limits on; all of one projected month."""

Weight = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Bursts:
    """Short stretches of more load."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    per_day: Annotated[float, Gt(0)]
    """How often, on average."""
    lasts_s: SecondsAboveZero
    """How long each is."""
    factor: Annotated[float, Gt(1)]
    """How many times the load of that hour."""

    @property
    def share(self) -> float:
        """Of all time."""
        return min(1.0, self.per_day * self.lasts_s / 86_400)


@dataclass(frozen=True, kw_only=True)
class Week:
    """How the load goes over the day and the week. `load.rate_per_s` is the mean of it all."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    hours: tuple[Weight, ...] = (1.0,) * 24
    """24 weights, from midnight on; only the ratio counts."""
    weekdays: tuple[Weight, ...] = (1.0,) * 7
    """7 weights, from Monday on."""
    bursts: Bursts | None = None


@dataclass(frozen=True, kw_only=True)
class FaultRate:
    """How often it happens: counted (events, exposure and source), or assumed and then without a P(met)."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    events: Annotated[int, Ge(0)] | None = None
    """How often it was seen."""
    exposure_days: Annotated[float, Gt(0)] | None = None
    """In how many days of how many such services together."""
    source: str = ""
    """Where that is written down."""
    assumed_per_30_days: Annotated[float, Gt(0)] | None = None
    """A guess. The report gives the rate at which an objective breaks, and a sensitivity range."""
    at_most_per_30_days: Annotated[float, Gt(0)] | None = None
    """Upper end of the sensitivity range of a guess; default: ten times the guess."""

    @property
    def assumed(self) -> bool:
        """Whether no data stand behind it."""
        return self.events is None


@dataclass(frozen=True, kw_only=True)
class FaultType:
    """A thing that happens in production, and how it is injected."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    name: str
    """Short name: lower-case letters, digits and hyphens."""
    rate: FaultRate
    inject: tuple[Fault, ...] = ()
    """What is broken at once, `at_s` from the trial's begin: both replicas, for what hits both."""
    burst_mean: Annotated[float, Ge(1)] = 1.0
    """Faults in a cluster, on average: after one, others of its type follow soon. The rate counts all of them."""
    when: Literal["any", "busy"] = "any"
    """any: at any time; busy: in proportion to the load."""

    @property
    def lasts_s(self) -> float:
        """From the trial's begin until the last of its faults is healed."""
        return max((fault.at_s + fault.lasts_s for fault in self.inject), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a night of real trials is made of."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    budget_min: Annotated[float, Gt(0)] = 60.0
    """Wall time of a night, start and end of the stack included."""
    trials_min: Annotated[int, Ge(2)] = 30
    """Verified trials of each type below which nothing is concluded."""
    trial_s: SecondsAboveZero = 11.0
    """From a fault's end on, how long its consequences are watched."""
    gap_s_min: Seconds = 1.0
    """Shortest fault-free time after a trial."""
    gap_s_max: Seconds = 7.0
    """Longest; each gap is drawn evenly between the two."""
    fault_free_s: SecondsAboveZero = 300.0
    """Length of the stretch without faults, before the first trial."""
    rate_per_s: Annotated[float, Gt(0), Le(5000)] | None = None
    """Load of the trials; default: the mean load of the week."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The service as the per-request simulator takes it: what trials cannot tell, as it never came to that in them."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    servers: Annotated[int, Ge(1)]
    """Requests that one replica serves at once."""
    queue_limit: Annotated[int, Ge(0)] | None = None
    """Requests that may wait at one replica; more are rejected."""
    tries_max: Annotated[int, Interval(ge=1, le=100)] = 1
    """Tries of one request, the first included."""
    retry_share: Annotated[float, Ge(0)] | None = None
    """Retries that each request pays in; none: no budget."""


@dataclass(frozen=True, kw_only=True)
class SoakFile:
    """What thirty days are like, and what is claimed of them."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    name: str
    """Short name: lower-case letters, digits and hyphens."""
    days: Annotated[int, Interval(ge=1, le=366)]
    """What is projected."""
    hypothesis: str = ""
    """What should hold, in a user's words; by default the comment on the file's first line."""
    target: TargetOptions = field(default_factory=TargetOptions)
    load: Load = field(default_factory=Load)
    week: Week = field(default_factory=Week)
    faults: tuple[FaultType, ...] = ()
    """What happens in production."""
    objectives: Mapping[str, Claim] = field(default_factory=dict)
    """Limits on one month; met when P(met) reaches `confidence`."""
    simulate: Simulated | None = None
    """The service, request by request, to see what overlapping faults and backlogs add; left out: nobody looks."""
    measure: Measure = field(default_factory=Measure)
    steady_state: SteadyState = field(default_factory=SteadyState)
    warmup_max_s: Seconds = 20.0
    """Longest wait for two agreeing warm-up windows."""
    file: str = ""
    """Set by the parser."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Set by the parser: where each key stands in the file."""

    @property
    def measured_rate_per_s(self) -> float:
        """Load of the trials."""
        return self.measure.rate_per_s or self.load.rate_per_s

    @property
    def slo(self) -> float:
        """The success rate that error budget and burn rate refer to; 99.9 % when no objective names one."""
        named = self.objectives.get("success_rate")
        return 0.999 if named is None or named.min is None else named.min
