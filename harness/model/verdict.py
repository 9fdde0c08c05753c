"""The verdict: what the data shows, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.model.health import Health
from harness.model.log_evidence import LogEvidence

__all__ = [
    "Advice",
    "AlertFate",
    "AlertReport",
    "Corruption",
    "EpisodeAlerts",
    "EpisodeResult",
    "Estimate",
    "Finding",
    "Interval",
    "LogExcerpt",
    "LogLine",
    "PhaseResult",
    "Stages",
    "Verdict",
    "VerdictOutcome",
    "worst",
]


class VerdictOutcome(StrEnum):
    """A verdict, or a finding in it."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


_MERGE_ORDER = (VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS)


def worst(outcomes: Iterable[VerdictOutcome]) -> VerdictOutcome:
    """Merge outcomes: fail before inconclusive before pass; nothing at all is inconclusive."""
    seen = set(outcomes)
    return next((outcome for outcome in _MERGE_ORDER if outcome in seen), VerdictOutcome.INCONCLUSIVE)


@dataclass(frozen=True)
class Interval:
    """A time known only to lie between two observations, in seconds; `high` None: not by the end of observation."""

    low: float
    high: float | None


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty. `value` None: not estimable, and `method` says why."""

    value: float | None
    low: float | None
    high: float | None
    confidence: float
    method: str
    n: int


@dataclass(frozen=True)
class Finding:
    """One check's result with its numbers."""

    check: str  # e.g. "observe.recovery_s", "fault_proof", "dispatch_lag"
    title: str  # e.g. "recovery_s at most 5 in every episode"
    outcome: VerdictOutcome
    reason: str  # one sentence
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """A line of the runbook: one finding that is no pass, what the data points to, and what to do."""

    check: str  # of the finding
    outcome: VerdictOutcome
    symptom: str
    cause: str  # what the data points to; it says so when it points to nothing
    remedy: str


@dataclass(frozen=True)
class LogLine:
    """One line of a log of the target."""

    at_s: float  # after the fault's begin
    source: str  # the file's name in the run's folder `stack/`
    text: str


@dataclass(frozen=True)
class LogExcerpt:
    """What the target's logs say around one episode, by time."""

    episode: int
    lines: tuple[LogLine, ...]
    note: str  # what was left out, and why


@dataclass(frozen=True)
class Stages:
    """The four stages of a recovery as moments, in seconds after the fault's begin. None: not seen."""

    detect_s: float | None = None  # first missed beat, open breaker or ejection
    isolate_s: float | None = None  # last request routed to the replica
    restore_s: float | None = None  # the replica says that it is ready
    verify_s: float | None = None  # traffic admitted to it again


@dataclass(frozen=True)
class Corruption:
    """What became of one fault of a model's files. Times are seconds after the fault's begin."""

    fault: str  # e.g. "weights.bit_flip on primary"
    # The first that fired: the replica's own word, gateway_golden, gateway_fingerprint, "exit status 78"; None: none.
    detector: str | None
    detected_s: float | None
    served: str  # what shows that users were served from it, or that nothing does
    silent_s: Interval | None  # how long they were, before anything noticed; None: it was not shown that they were
    ended_by: str | None  # detector, isolation, inverse; None: it was not shown, or it went on to the end


@dataclass(frozen=True)
class EpisodeResult:
    """One fault with its consequences. Times are seconds from the run's origin unless the name says otherwise."""

    number: int
    faults: tuple[str, ...]  # e.g. "process.kill on primary"
    begin_s: float
    fault_begin_s: float | None
    fault_end_s: float | None
    end_s: float
    proven: bool
    proof: str  # the evidence in a sentence, or why there is none
    valid: bool  # can anything be concluded from it?
    invalid_reason: str
    requests: int
    lost: Mapping[str, int]  # bad outcomes and how many
    lost_requests: int
    wrong_answers: int
    first_good_s: Interval | None  # after the fault's begin; None: nothing was lost
    recovery_s: Interval | None  # after the fault's begin; None: nothing was lost
    stages: Stages
    latency_ms_p99: float | None
    dispatch_lag_ms_p99: float | None
    restarts: int | None = None  # by whoever supervises the target; None: the stack does not say when processes begin
    supervision: str = ""  # what that supervisor did, in words; empty: nothing
    corruptions: tuple[Corruption, ...] = ()  # of faults of the model's files
    checked_answers: int = 0  # compared with a golden one


@dataclass(frozen=True)
class PhaseResult:
    """Counts and latencies of all windows of a phase together."""

    phase: str
    seconds: float
    requests: int
    outcomes: Mapping[str, int]
    success_rate: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    ttft_ms_p50: float | None
    ttft_ms_p99: float | None
    gap_ms_max: float | None
    dispatch_lag_ms_p99: float | None


@dataclass(frozen=True)
class ResourceUse:
    """What one server used under load, as a Prometheus beside the run saw it. None: it told nothing."""

    source: str
    resident_mb_baseline: float | None  # of its own process: MiB, median
    resident_mb_max: float | None
    cpu_cores_mean: float | None  # with restarts a lower bound
    open_fds_max: float | None
    running_max: float | None  # requests in the engine
    waiting_max: float | None  # requests in its queue
    unseen_s: float  # for how long no scrape of it succeeded
    engine_mb_baseline: float | None = None  # of its engine's process, which may be the same one: MiB, median
    engine_mb_max: float | None = None


@dataclass(frozen=True)
class AlertFate:
    """What became of one alert rule in one episode."""

    alert: str
    severity: str
    # fired; already: it was firing before; missed: such a fault can bring it about, and it stayed silent; too_short: it
    # could not fire in this run; no_window: silent, and less was known than it looks back over; blind: its metrics were
    # not there; unknown: rules were not evaluated
    state: str
    after_s: Interval | None  # from the fault's begin until it fired; None: it did not
    earliest_s: float  # its theoretical time: before that it cannot fire, whatever the fault does
    words: str  # what is to be said of it, or empty


@dataclass(frozen=True)
class EpisodeAlerts:
    """The alerts of one episode: those that fired, by time, then those that such a fault can bring about."""

    episode: int
    noticed: str  # a sentence: who would have been told, and what users had lost
    fates: tuple[AlertFate, ...]


@dataclass(frozen=True)
class AlertReport:
    """Would anybody have noticed? `note`: what watched the run, or why it is not known."""

    note: str
    episodes: tuple[EpisodeAlerts, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """All findings merged, with everything that a report shows. Nothing in a report is computed later than here."""

    outcome: VerdictOutcome
    reason: str
    seed: str
    scenario: str
    hypothesis: str
    stack: str
    run: Mapping[str, Any]  # id, wall_begin, version, commit, host, replay, duration_s
    sli: Mapping[
        str, Any
    ]  # scheduled, by outcome, eligible, good, success_rate, time_availability, target's own count ...
    estimates: Mapping[str, Estimate]
    phases: tuple[PhaseResult, ...]
    episodes: tuple[EpisodeResult, ...]
    findings: tuple[Finding, ...]
    series: Mapping[str, list[Any]]  # columns of at most 1,000 bins: t_s, seconds per bin, counts by outcome, latencies
    marks: tuple[Mapping[str, Any], ...]  # fault windows, phases and stages for the timeline
    limits: tuple[str, ...]  # what the data cannot show
    recompute: str  # ten lines of pandas that give the headline numbers again
    runbook: tuple[Advice, ...] = ()  # one for each finding that is no pass
    # Of good requests: edges_ms (n + 1 edges, logarithmic), and per phase n counts.
    latency_by_phase: Mapping[str, list[Any]] = field(default_factory=dict)
    logs: tuple[LogExcerpt, ...] = ()  # of the worst episodes
    resources: tuple[ResourceUse, ...] = ()  # nothing: no Prometheus watched the run
    log_evidence: LogEvidence | None = None  # None: there are no logs; never part of outcome or findings
    alerts: AlertReport | None = None  # None: judged before there were any
    health: Health | None = None  # None: no run of `harness health`; never part of outcome or findings
