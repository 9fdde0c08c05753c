"""What a night of real trials leaves: one episode record per trial, and the fault-free stretch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["STORE_VERSION", "DriftSeries", "FaultFree", "Night", "Stretch", "Trial"]

STORE_VERSION = 1
"""Of the lines in the store of trials. Another version is refused, never guessed at."""


@dataclass(frozen=True)
class Trial:
    """One injected fault with its consequences. Times are seconds after the fault's begin; None: not seen."""

    fault_type: str
    order: int  # in its night, from 1
    begin_s: float  # of the fault, from the schedule's begin
    gap_s: float  # from the end of the fault before it (or the schedule's begin) to its own begin
    window_s: float  # how long it was watched, from the fault's begin
    valid: bool
    invalid_reason: str
    proof: str
    incident: bool  # users lost more than in the fault-free stretch
    first_good_s: tuple[float, float | None] | None  # interval-censored; None: nothing was lost
    recovery_s: tuple[float, float | None] | None  # an open end: not recovered when the trial ended
    detect_s: float | None
    isolate_s: float | None
    restore_s: float | None
    verify_s: float | None
    loading_s: float | None  # from the start of a replica's new process to its word that it is ready
    requests: int  # due in the trial, gap included, that count in the SLI
    lost: int  # every bad outcome, wrong answers included
    slow: int  # good, but later than twice the fault-free p99
    wrong: int
    in_flight_max: int
    latency_s_sum: float  # of good requests
    latency_bins: Mapping[int, int] = field(default_factory=dict)  # of good requests; see harness.soak.latency

    @property
    def downtime_s(self) -> float:
        """The pessimistic end of the recovery; a trial that did not recover was down to its end, at least."""
        if self.recovery_s is None:
            return 0.0
        return self.window_s if self.recovery_s[1] is None else self.recovery_s[1]

    @property
    def censored(self) -> bool:
        """Whether the service had not recovered when the trial ended, so that its true cost is higher."""
        return self.recovery_s is not None and self.recovery_s[1] is None


@dataclass(frozen=True)
class FaultFree:
    """The stretch without faults, before the first trial."""

    seconds: float
    requests: int
    lost: int
    latency_s_sum: float
    slow_above_s: float | None  # None: nothing was good; twice the p99: what counts as slow in a trial
    in_flight_max: int
    latency_bins: Mapping[int, int] = field(default_factory=dict)
    per_minute: tuple[tuple[float, int, int, float], ...] = ()  # begin_s, requests, lost, mean latency in s


@dataclass(frozen=True)
class DriftSeries:
    """One quantity of one process, or of what users saw, over a stretch: a mean for each block of time."""

    source: str  # e.g. "primary", or "users"
    quantity: str  # its unit last in the name
    values: tuple[float | None, ...]  # None: no sample in that block
    limit: float | None = None  # where it would end; None: nobody knows of one


@dataclass(frozen=True)
class Stretch:
    """Time under load without a fault or a restart, in blocks of equal length: what may drift drifts here."""

    begin_s: float  # from the run's origin
    block_s: float
    requests: tuple[int, ...]  # good ones served since the stretch's begin, at the end of each block
    series: tuple[DriftSeries, ...]


@dataclass(frozen=True)
class Night:
    """One run of trials. Nights with the same build, configuration, host and stack may be pooled."""

    run_id: str
    wall_begin: str
    soak: str  # name of the soak file
    seed: str
    stack: str
    build: str
    configuration: str  # digest of all that shapes a trial
    host: str
    model: str  # what was served, in words
    rate_per_s: float
    duration_s: float  # of the schedule that was really run
    scheduled: int  # requests of users in the whole schedule that count in the SLI
    lost: int
    trusted: bool  # generator, accounting and baseline were in order
    doubts: tuple[str, ...]  # why not
    fault_free: FaultFree | None
    trials: tuple[Trial, ...]
    real_time: bool = False  # uncompressed: from `soak run`
    stretches: tuple[Stretch, ...] = ()
    not_sampled: tuple[str, ...] = ()  # what could have drifted and was not looked at, and why

    @property
    def pool(self) -> tuple[str, str, str, str]:
        """What must be equal for trials to be put together."""
        return self.build, self.configuration, self.host, self.stack
