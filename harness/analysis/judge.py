"""History -> Verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.analysis.alerts import alert_findings, alert_report
from harness.analysis.distribution import latency_by_phase
from harness.analysis.episodes import judge_episodes
from harness.analysis.error_budget import budget_use, objective_of
from harness.analysis.frame import RunFrame, make_frame, percentile_ms
from harness.analysis.golden import Disagreement, disagreement_of
from harness.analysis.intervals import mean_over_episodes, rate, recovery_quantile
from harness.analysis.limits import what_it_cannot_show
from harness.analysis.objectives import Measured, objective_findings
from harness.analysis.recompute import RECOMPUTE
from harness.analysis.runbook import advise
from harness.analysis.series import bin_series, budget_series, timeline_marks
from harness.analysis.sli import count_run, eligible_of, mean_latency_s, phase_results, probe_share, target_count
from harness.analysis.validity import validity_findings
from harness.model.expectation import expectation
from harness.model.health import Health
from harness.model.history import History
from harness.model.verdict import (
    EpisodeResult,
    Estimate,
    Finding,
    Interval,
    PhaseResult,
    Verdict,
    VerdictOutcome,
    worst,
)

__all__ = ["judge"]


def judge(history: History) -> Verdict:
    """Everything that can be said of a run, and the one outcome that follows from it."""
    frame = make_frame(history)
    episodes = judge_episodes(history, frame)
    phases = phase_results(frame)
    validity = validity_findings(history, frame, episodes)
    sli = count_run(frame, history.plan.requests)
    trusted = all(
        f.outcome is VerdictOutcome.PASS for f in validity if f.check in ("accounting", "baseline", "generator")
    )
    noise_ms = percentile_ms(frame.control_s["latency_s"].to_numpy(), 0.99)
    golden = disagreement_of(history, frame)
    objectives = objective_findings(
        history.plan.scenario,
        Measured(
            episodes,
            phases,
            sli["success_rate"],
            noise_ms,
            latency_mean_s=mean_latency_s(frame),
            trusted=trusted,
            disagreement=golden,
        ),
    )
    alerts = alert_findings(history.plan.scenario.alerts, history.alerts, episodes, trusted=trusted)
    findings = (*objectives, *alerts, *validity)
    outcome = worst(finding.outcome for finding in findings)
    series = bin_series(frame)
    return Verdict(
        outcome=outcome,
        reason=_reason(outcome, findings, (sli, episodes), history.health),
        seed=history.plan.seed,
        scenario=history.plan.scenario.name,
        hypothesis=history.plan.scenario.hypothesis,
        stack=history.plan.stack,
        run=_run(history, frame),
        sli=sli | _more_sli(history, frame, episodes, noise_ms),
        estimates=_estimates(phases, episodes, golden),
        phases=phases,
        episodes=tuple(_on_schedule_clock(one, frame.begin_s) for one in episodes),
        findings=findings,
        series=series | budget_series(series, history.plan.scenario),
        marks=timeline_marks(frame, episodes),
        limits=(*what_it_cannot_show(history, frame, episodes, phases), *([golden.sentence] if golden else [])),
        recompute=RECOMPUTE,
        runbook=advise(findings, episodes),
        latency_by_phase=latency_by_phase(frame),
        alerts=alert_report(history.alerts, episodes) if history.plan.scenario.faults else None,
        health=history.health,
    )


def _on_schedule_clock(one: EpisodeResult, begin_s: float) -> EpisodeResult:
    """Times of an episode from the schedule's begin, as in the series."""
    fields = {"begin_s", "end_s", "fault_begin_s", "fault_end_s"}
    values = {f: round(v - begin_s, 6) for f in fields if (v := getattr(one, f)) is not None}
    return EpisodeResult(**{**{name: getattr(one, name) for name in one.__dataclass_fields__}, **values})


def _reason(
    outcome: VerdictOutcome,
    findings: Sequence[Finding],
    what: tuple[dict[str, Any], Sequence[EpisodeResult]],
    health: Health | None,
) -> str:
    if outcome is not VerdictOutcome.PASS:
        others = sum(finding.outcome is outcome for finding in findings) - 1
        first = next(finding.reason for finding in findings if finding.outcome is outcome)
        return first + (f" (and {others} more)" if others > 0 else "")
    sli, episodes = what
    lost = f"users lost {sli['lost']:,} of {sli['eligible']:,} requests"
    worst_s = max((e.recovery_s.high for e in episodes if e.recovery_s and e.recovery_s.high is not None), default=None)
    back = f", service was back within {worst_s:.1f} s" if worst_s is not None else ""
    holds = "every objective holds" if health is None else _of_probes(health)
    return f"{holds}: {lost}{back}, {sli['wrong_answers']:,} wrong answers"


def _of_probes(health: Health) -> str:
    """A run that measures probes has no objective: that it passes must not read as praise of them."""
    blind = sum(bool(one.blind_to) for one in health.probes)
    seen = f"{blind} of {len(health.probes)} health checks stayed green through a fault" if blind else ""
    return f"{seen}{'; ' * bool(seen)}nothing is limited here, so a pass says only that the run can be believed"


def _run(history: History, frame: RunFrame) -> dict[str, Any]:
    header = asdict(history.header)
    header.pop("origin_monotonic_s")
    scenario = history.plan.scenario
    before = [event.fields.get("runs_before") for event in history.events if event.kind == "stack_up"]
    shared = {"runs_before": before[0]} if before and before[0] else {}
    return header | {
        **shared,
        "replay": history.plan.replay,
        "schedule_begin_s": frame.begin_s,
        "duration_s": round(frame.end_s - frame.begin_s, 3),
        "rate_per_s": scenario.load.rate_per_s,
        "deadline_s": scenario.load.deadline_s,
        "expect": known.outcome if (known := expectation(scenario.expect, scenario.half)) else None,
        "complete": history.complete,
        "arrivals_sha256": history.plan.arrivals_sha256,
    }


def _more_sli(
    history: History, frame: RunFrame, episodes: Sequence[EpisodeResult], noise_ms: float | None
) -> dict[str, Any]:
    """Time-based availability, what the target counted itself, probes, the noise floor and the error budget."""
    length_s = frame.end_s - frame.begin_s
    down = [e.recovery_s for e in episodes if e.recovery_s is not None]
    ends = [e.end_s - (e.begin_s if e.fault_begin_s is None else e.fault_begin_s) for e in episodes if e.recovery_s]
    shortest = sum(d.low for d in down)
    longest = sum(end if d.high is None else d.high for d, end in zip(down, ends, strict=True))
    objective = objective_of(history.plan.scenario)
    lost = [e.lost_requests for e in episodes]
    observed = length_s > 0 and bool(frame.users["eligible"].any())
    more: dict[str, Any] = {
        "time_availability": {"low": 1 - longest / length_s, "high": 1 - shortest / length_s} if observed else None,
        "target_received": target_count(history.events, "gateway"),
        "noise_floor_ms_p99": noise_ms,
        "probe_share": probe_share(history.events, history.plan.target),
    }
    if lost:
        more["error_budget_per_episode"] = asdict(
            budget_use(sum(lost) / len(lost), history.plan.scenario.load.rate_per_s, objective)
        )
    return more


def _estimates(
    phases: Sequence[PhaseResult], episodes: Sequence[EpisodeResult], golden: Disagreement | None
) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    if golden is not None and golden.checked:
        found["golden_disagreement_rate"] = rate(golden.wrong, golden.checked)
    baseline = next((phase for phase in phases if phase.phase == "baseline"), None)
    if baseline is not None:
        found["baseline_success_rate"] = rate(baseline.outcomes["ok"], eligible_of(baseline))
    valid = [one for one in episodes if one.valid]
    if valid:
        recoveries: list[Interval | None] = [one.recovery_s for one in valid]
        for name, quantile in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
            found[f"recovery_s_{name}"] = recovery_quantile(recoveries, quantile, 0.95)
        found["lost_requests_mean"] = mean_over_episodes([one.lost_requests for one in valid])
        found |= _mttr(recoveries)
        seen = [one.stages.detect_s for one in valid if one.stages.detect_s is not None]
        if seen:
            found["mttd_s"] = mean_over_episodes(seen)
    return found


def _mttr(recoveries: Sequence[Interval | None]) -> dict[str, Estimate]:
    """Mean time to recovery, by its pessimistic ends; an episode that did not recover has none, so no mean has."""
    incidents = [one for one in recoveries if one is not None]
    ends = [one.high for one in incidents if one.high is not None]
    if not incidents:
        return {}
    if len(ends) == len(incidents):
        return {"mttr_s": mean_over_episodes(ends)}
    open_ones = f"{len(incidents) - len(ends)} of {len(incidents)} episodes had not recovered when observation ended"
    return {"mttr_s": Estimate(None, None, None, 0.95, f"not estimable: {open_ones}", len(incidents))}
