"""Can this run be believed? Findings about the instrument: they never fail, only make it inconclusive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.analysis.episodes import LAG_MS_MAX, NOT_SENT_SHARE_MAX
from harness.analysis.frame import OUTCOMES, RunFrame, percentile_ms
from harness.analysis.sli import count_outcomes, target_count
from harness.model.history import History
from harness.model.request import Lane, Outcome
from harness.model.verdict import EpisodeResult, Finding, VerdictOutcome

__all__ = ["BASELINE_MIN_N", "validity_findings"]

BASELINE_MIN_N = 20  # fewer requests cannot tell a steady baseline from an unsteady one
CLOCK_S_MAX = 0.1  # a tenth of a health period: what is said of a recovery to a tenth of a second has to hold
PASS, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.INCONCLUSIVE


def validity_findings(history: History, frame: RunFrame, episodes: Sequence[EpisodeResult]) -> tuple[Finding, ...]:
    """Every check of the instrument, passed or not."""
    found = [_complete(history, frame), _accounting(history, frame), _baseline(history, frame), _generator(frame)]
    if history.plan.scenario.faults:
        found.append(_faults(history, episodes))
    return (*found, *_clock(history), *_clean_up(history), *_damage(history))


def _finding(check: str, title: str, problem: str, good: str, **evidence: object) -> Finding:
    return Finding(check, title, INCONCLUSIVE if problem else PASS, problem or good, evidence)


def _complete(history: History, frame: RunFrame) -> Finding:
    reasons = [str(e.fields["reason"]) for e in history.events if e.kind in ("stopped", "broken")]
    ends = [e for e in history.events if e.kind == "run_end"]
    if not ends:
        reasons.append("the harness died before the run's end")
    elif not reasons and not history.complete:
        reasons.append("the harness gave up before the run's end, without saying why")
    elif not reasons and frame.end_s < frame.begin_s + history.plan.duration_s - 0.1:
        reasons.append("the run was ended early")
    seconds = round(frame.end_s - frame.begin_s, 3)
    planned = history.plan.duration_s
    problem = f"the run was cut off after {seconds:g} of {planned:g} s: {'; '.join(reasons)}" if reasons else ""
    return _finding(
        "complete",
        "the run went to its end",
        problem,
        f"all {planned:g} s were run",
        observed_s=seconds,
        planned_s=planned,
    )


def _accounting(history: History, frame: RunFrame) -> Finding:
    """Scheduled = the sum of all outcomes, and the target's own count of requests lies where it must.

    What users were answered by the target was received by it; it cannot have received more than was sent. Requests of
    the warm-up pass the same gateway and are counted on both sides.
    """
    through_gateway = np.asarray(history.requests["lane"], dtype=object) != Lane.CONTROL.value
    sent = _known(history, "sent_us", through_gateway)
    answered = _known(history, "status", through_gateway)
    scheduled, planned = len(frame.users), history.plan.requests
    evidence: dict[str, object] = {"scheduled": scheduled, "planned": planned, **count_outcomes(frame.users)}
    evidence |= {"sent_with_warmup": sent, "answered_with_warmup": answered}
    problem = "" if scheduled == planned else f"{planned - scheduled:,} of {planned:,} planned requests have no record"
    gateway = target_count(history.events, "gateway")
    if gateway is not None and "received_distinct" in gateway:
        received = gateway["received_distinct"]
        evidence["target_received"] = received
        lost_counters = gateway["incarnations"] > 1
        # Strangers of a traffic fault carry one id each fault, which no user has sent.
        strangers = sum(str(e.fields.get("fault_kind")).startswith("traffic.") for e in history.events)
        evidence |= {"ids_of_strangers": strangers} if strangers else {}
        if received > sent + strangers or (received < answered and not lost_counters):
            problem = (
                problem or f"the target counted {received:,} requests, but {sent:,} were sent and {answered:,} answered"
            )
    good = f"{scheduled:,} scheduled = the sum of all outcomes"
    good += (
        f"; the target counted {evidence['target_received']:,} of {sent:,} sent (warm-up included)"
        if "target_received" in evidence
        else ""
    )
    return _finding("accounting", "every scheduled request is accounted for", problem, good, **evidence)


def _known(history: History, column: str, rows: Any) -> int:
    """How many of `rows` have a value in `column`."""
    return int(np.count_nonzero(~np.isnan(np.asarray(history.requests[column], dtype=np.float64)[rows])))


def _baseline(history: History, frame: RunFrame) -> Finding:
    baseline = frame.of_episode(0)
    eligible, bad = int(baseline["eligible"].sum()), int(baseline["bad"].sum())
    rate = (eligible - bad) / eligible if eligible else 0.0
    floor = history.plan.scenario.steady_state.min_success_rate
    warmed = next((e.fields.get("settled") for e in history.events if e.kind == "warmup_end"), None)
    problem = ""
    if eligible < BASELINE_MIN_N:
        problem = f"the baseline has {eligible} requests; {BASELINE_MIN_N} are needed to call it steady"
    elif rate < floor:
        problem = f"the baseline was not steady: {rate:.2%} of {eligible:,} requests succeeded, {floor:.0%} are needed"
    elif warmed is False:
        problem = (
            f"the warm-up did not settle within {history.plan.scenario.warmup_max_s:g} s: two windows never agreed"
        )
    good = f"{eligible - bad:,} of {eligible:,} baseline requests succeeded"
    return _finding(
        "baseline",
        "the target was steady before the first fault",
        problem,
        good,
        eligible=eligible,
        bad=bad,
        success_rate=rate,
    )


def _generator(frame: RunFrame) -> Finding:
    """The load generator kept time in the baseline and over all; episodes are judged one by one."""
    users = frame.users[frame.users["window"] >= 0]
    baseline_ms = percentile_ms(frame.of_episode(0)["lag_s"].to_numpy(), 0.99)
    overall_ms = percentile_ms(users["lag_s"].to_numpy(), 0.99)
    noise_ms = percentile_ms(frame.control_s["latency_s"].to_numpy(), 0.99)
    ended = users["scheduled_s"] < frame.end_s
    not_sent = int(((users["code"] == OUTCOMES.index(Outcome.NOT_SENT)) & ended).sum())
    problem = ""
    if baseline_ms is not None and baseline_ms > LAG_MS_MAX:
        late = f"dispatch lag p99 {baseline_ms:.0f} ms, above {LAG_MS_MAX:.0f} ms"
        problem = f"the load generator fell behind in the baseline: {late}"
    elif len(users) and not_sent / len(users) > NOT_SENT_SHARE_MAX:
        problem = f"the load generator did not send {not_sent:,} of {len(users):,} requests"
    shown = "–" if overall_ms is None else f"{overall_ms:.1f} ms"
    evidence = {
        "dispatch_lag_ms_p99_baseline": baseline_ms,
        "dispatch_lag_ms_p99": overall_ms,
        "noise_floor_ms_p99": noise_ms,
        "not_sent": not_sent,
    }
    return _finding(
        "generator", "the load generator kept its schedule", problem, f"dispatch lag p99 {shown}", **evidence
    )


def _faults(history: History, episodes: Sequence[EpisodeResult]) -> Finding:
    planned = history.plan.scenario.episodes
    bad = [one for one in episodes if not one.valid]
    problem = ""
    if bad:
        problem = f"{len(bad)} of {planned} episodes prove nothing: episode {bad[0].number}: {bad[0].invalid_reason}"
    elif len(episodes) < planned:
        problem = f"{planned - len(episodes)} of {planned} episodes never began"
    good = f"{'it is' if planned == 1 else f'all {planned} are'} proven: {episodes[-1].proof}" if episodes else ""
    evidence = {f"episode {one.number}": one.proof if one.valid else one.invalid_reason for one in episodes[:50]}
    return _finding(
        "fault_proof", "every fault took effect on a replica that was serving users", problem, good, **evidence
    )


def _clock(history: History) -> Iterator[Finding]:
    """Where the load ran on another host: how far its times may be off from those of the faults."""
    looked = [e.fields for e in history.events if e.kind == "probe.clock"]
    if not looked:
        return
    off_s = max(abs(float(one["offset_s"]) - float(one["used_s"])) + float(one["error_s"]) for one in looked)
    problem = ""
    if off_s > CLOCK_S_MAX:
        limit = f"above {CLOCK_S_MAX * 1000:g} ms"
        problem = f"times of the target's host may be off by {off_s * 1000:.0f} ms, {limit}: measure from nearer to it"
    good = f"times of the target's host are off by {off_s * 1000:.1f} ms at most"
    yield _finding("clock", "both hosts' clocks were compared", problem, good, off_s=off_s, looks=len(looked))


def _clean_up(history: History) -> Iterator[Finding]:
    errors = [str(error) for e in history.events if e.kind == "cleanup_failed" for error in e.fields["errors"]]
    if errors:
        yield _finding(
            "clean_up",
            "everything was healed and stopped",
            f"cleaning up failed: {errors[0]}; run 'harness undo'",
            "",
            errors=errors,
        )


def _damage(history: History) -> Iterator[Finding]:
    if history.damage:
        problem = f"{len(history.damage)} records could not be read: {history.damage[0]}"
        yield _finding("records", "every record can be read", problem, "", damage=list(history.damage[:20]))
