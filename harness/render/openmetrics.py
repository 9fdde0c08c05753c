"""The verdict as OpenMetrics text, for a Pushgateway or a textfile collector. Absent is absent, never 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from harness.model.verdict import Verdict, VerdictOutcome
from harness.render.headline import headline

__all__ = ["METRICS", "to_openmetrics"]

METRICS: Mapping[str, str] = {
    "harness_run_outcome": "1 for the verdict that the run has, 0 for the other two (label outcome).",
    "harness_run_begun_timestamp_seconds": "When the run began, seconds since 1970.",
    "harness_run_duration_seconds": "How long load was observed.",
    "harness_run_requests": "Scheduled requests of users, by how they ended (label outcome).",
    "harness_run_lost_requests": "Requests that users lost: every bad outcome.",
    "harness_run_wrong_answers": "Answers that differed from the golden one.",
    "harness_run_success_ratio": "Good of eligible requests.",
    "harness_phase_latency_seconds": "Latency of good requests of a phase, from the scheduled time (label quantile).",
    "harness_phase_success_ratio": "Good of eligible requests of a phase.",
    "harness_episode_lost_requests": "Requests that users lost in an episode.",
    "harness_episode_recovery_seconds": "Bounds of the recovery: from the fault's begin to steady state (label bound).",
    "harness_episode_stage_seconds": "When a stage of the recovery was reached, after the fault's begin (label stage).",
    "harness_estimate": "An estimate in the unit of its name (labels name, and bound: value, low, high).",
    "harness_finding": "1 for the outcome that a check has (labels check, outcome).",
}
"""Every metric, in the order of the text. All are gauges: a run is over when it is written."""

_Sample = tuple[str, Mapping[str, str], float | int | None]


def to_openmetrics(verdict: Verdict) -> str:
    """All samples with the labels scenario and stack; ends with `# EOF`."""
    common = {"scenario": verdict.scenario, "stack": verdict.stack}
    samples: dict[str, list[str]] = {name: [] for name in METRICS}
    for name, labels, value in _samples(verdict):
        if value is not None:
            samples[name].append(f"{name}{_labels(common | dict(labels))} {value!r}")
    lines = []
    for name, found in samples.items():
        if found:
            unit = next((unit for unit in ("seconds", "ratio") if name.endswith(f"_{unit}")), None)
            lines += [f"# TYPE {name} gauge"]
            lines += [f"# UNIT {name} {unit}"] if unit else []
            lines += [f"# HELP {name} {METRICS[name]}", *dict.fromkeys(found)]
    return ("\n".join([*lines, "# EOF"]) + "\n").encode("utf-8", "replace").decode()


def _samples(verdict: Verdict) -> Iterator[_Sample]:
    head, run = headline(verdict), verdict.run
    for outcome in VerdictOutcome:
        yield "harness_run_outcome", {"outcome": outcome.value}, int(outcome is verdict.outcome)
    yield "harness_run_begun_timestamp_seconds", {}, _timestamp(run.get("wall_begin"))
    yield "harness_run_duration_seconds", {}, run.get("duration_s")
    for name, n in head.outcomes.items():
        yield "harness_run_requests", {"outcome": str(name)}, n
    yield "harness_run_lost_requests", {}, head.lost
    yield "harness_run_wrong_answers", {}, head.wrong
    yield "harness_run_success_ratio", {}, head.success_rate
    yield from _phases(verdict)
    yield from _episodes(verdict)
    for name, estimate in verdict.estimates.items():
        for bound in ("value", "low", "high"):
            yield "harness_estimate", {"name": name, "bound": bound}, getattr(estimate, bound)
    for finding in verdict.findings:
        yield "harness_finding", {"check": finding.check, "outcome": finding.outcome.value}, 1


def _phases(verdict: Verdict) -> Iterator[_Sample]:
    for one in verdict.phases:
        for name, quantile in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")):
            ms = getattr(one, f"latency_ms_{name}")
            labels = {"phase": one.phase, "quantile": quantile}
            yield "harness_phase_latency_seconds", labels, None if ms is None else round(ms / 1000, 9)
        yield "harness_phase_success_ratio", {"phase": one.phase}, one.success_rate


def _episodes(verdict: Verdict) -> Iterator[_Sample]:
    for one in verdict.episodes:
        which = {"episode": str(one.number)}
        yield "harness_episode_lost_requests", which, one.lost_requests
        if one.recovery_s is not None:
            yield "harness_episode_recovery_seconds", which | {"bound": "low"}, one.recovery_s.low
            yield "harness_episode_recovery_seconds", which | {"bound": "high"}, one.recovery_s.high
        for stage in ("detect", "isolate", "restore", "verify"):
            yield "harness_episode_stage_seconds", which | {"stage": stage}, getattr(one.stages, f"{stage}_s")


def _timestamp(wall: object) -> float | None:
    """The header's own wall time in other words; nothing when there is none."""
    try:
        return None if wall is None else datetime.fromisoformat(str(wall)).timestamp()
    except ValueError:
        return None


def _labels(labels: Mapping[str, str]) -> str:
    parts = []
    for name, value in labels.items():
        escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        parts.append(f'{name}="{escaped}"')
    return "{" + ",".join(parts) + "}"
