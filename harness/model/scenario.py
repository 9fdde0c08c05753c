"""The scenario: the file that a person writes. Every key has its unit in its name and a sensible default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval, Le

from harness.model.alerts import AlertLimit
from harness.model.expectation import Expected, Half, Known
from harness.model.external import External
from harness.model.fault import STRICT, Fault, Seconds, SecondsAboveZero
from harness.model.limit import Limit
from harness.model.log_evidence import LogRule
from harness.model.target import TargetOptions
from harness.model.threshold_profiles import ThresholdProfile

__all__ = ["Claim", "Limit", "Load", "ObjectivesFrom", "Phases", "Scenario", "SteadyState", "StopIf", "TargetOptions"]


@dataclass(frozen=True, kw_only=True)
class Load:
    """How users behave: an open loop, so a slow target never slows the arrivals down."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    rate_per_s: Annotated[float, Gt(0), Le(5000)] = 10.0
    """Mean number of requests a second."""
    arrivals: Literal["poisson", "constant"] = "poisson"
    """poisson: independent users; constant: evenly spaced."""
    deadline_s: SecondsAboveZero = 2.0
    """From the scheduled time to the last byte; later is lost."""
    mix: Mapping[str, Annotated[float, Gt(0)]] = field(default_factory=lambda: {"chat": 1.0})
    """Share of each task (any unit, only the ratio counts); a task ending in _stream is asked for as a token stream."""
    prompt_words: Annotated[int, Ge(1)] | None = None
    """Pad prompts to this many words. The golden answer of a padded prompt is unknown, so it is not checked."""
    output_tokens: Annotated[int, Ge(1)] | None = None
    """max_tokens of a request; default: what the golden answer needs. Answers cut short by it are not checked."""
    connections: Literal["reuse", "new"] = "reuse"
    """reuse: keep-alive, as most clients; new: a connection per request, which shows refusals and failover sooner."""
    retries: Annotated[int, Interval(ge=0, le=5)] = 0
    """How often a client asks again after a failure, with the same request id; only the last answer counts."""


@dataclass(frozen=True, kw_only=True)
class Phases:
    """How long each phase is."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    baseline_s: SecondsAboveZero = 30.0
    """Fault-free time before the first episode; warm-up comes before it and is not counted."""
    recovery_s: SecondsAboveZero = 30.0
    """Time after a fault's end in which the target must come back."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A limit on what the service does, not just on what this run did; give min, max or both."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    min: float | None = None
    max: float | None = None
    confidence: Annotated[float, Interval(gt=0.5, lt=1)] = 0.95
    """Of each one-sided bound: pass when even the pessimistic bound is within the limit."""


@dataclass(frozen=True, kw_only=True)
class SteadyState:
    """What counts as being back to normal."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    hold_s: SecondsAboveZero = 3.0
    """How long users must lose no more than in the baseline before the target counts as recovered."""
    min_success_rate: Annotated[float, Interval(ge=0, le=1)] = 0.95
    """The baseline must reach this, or the run says nothing about faults."""


@dataclass(frozen=True, kw_only=True)
class Below:
    """A floor under the success rate."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    below: Annotated[float, Interval(gt=0, le=1)]
    """Success rate, 0 to 1."""
    for_s: SecondsAboveZero = 30.0
    """For how long."""


@dataclass(frozen=True, kw_only=True)
class StopIf:
    """When to end the fault and heal at once."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    success_rate: Below | None = None


@dataclass(frozen=True, kw_only=True)
class ObjectivesFrom:
    """An OpenSLO file (openslo/v1) whose objectives are judged as well. A bare file name will do."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    file: str
    """Its name, as seen from the scenario's folder."""
    unit: Literal["ms", "s"] | None = None
    """Of its latency thresholds, which OpenSLO leaves open."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One experiment, described."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    name: Annotated[str, "lower case letters, digits and hyphens"]
    """Short name: lower-case letters, digits and hyphens."""
    hypothesis: str = ""
    """What should hold, in a user's words; by default the comment on the file's first line."""
    target: TargetOptions = field(default_factory=TargetOptions)
    """How the target is set up."""
    external: External | None = None
    """Somebody's own server as the target; used on the stack `external` only, the usual one if it has a url."""
    load: Load = field(default_factory=Load)
    phases: Phases = field(default_factory=Phases)
    episodes: Annotated[int, Interval(ge=1, le=1000)] = 1
    """How often the faults are repeated in one run."""
    faults: tuple[Fault, ...] = ()
    """What breaks, and when. None: a fault-free run."""
    thresholds: ThresholdProfile | None = None
    """A named set of limits; single ones under `observe` outrank it."""
    objectives_from: ObjectivesFrom | None = None
    """An OpenSLO file as the source of objectives; single ones under `observe` and `claim` outrank it."""
    observe: Mapping[str, Limit] = field(default_factory=dict)
    """Limits on what this run did, of every episode; exact counts, no interval."""
    claim: Mapping[str, Claim] = field(default_factory=dict)
    """Limits on what the service does; judged by intervals."""
    alerts: Mapping[str, AlertLimit] = field(default_factory=dict)
    """Alert rules that must fire, by name; needs a Prometheus beside the run."""
    steady_state: SteadyState = field(default_factory=SteadyState)
    stop_if: StopIf = field(default_factory=StopIf)
    log_rules: tuple[LogRule, ...] = ()
    """More rules to hold the target's logs against; what holds is shown in the report, never part of a verdict."""
    expect: Known | Expected = "pass"
    """The known verdict on the reference target, for --as-expected; and what must happen on the two halves of its
    control pair, for --pairs."""
    warmup_max_s: Seconds = 20.0
    """Longest wait for two agreeing warm-up windows."""
    half: Half | None = None
    """Set when one half of the control pair is run."""
    file: str = ""
    """Set by the parser."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Set by the parser: where each key stands in the file, as in {load.mix: 4, faults.0.on: 7}."""

    @property
    def usual_stack(self) -> str:
        """Where it runs unless told otherwise: on the service that it names, or else locally."""
        return "external" if self.external is not None and self.external.url is not None else "local"
