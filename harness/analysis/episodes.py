"""Each episode judged by itself: what broke, whether that was proven, what users lost, when they had it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.analysis.frame import OUTCOMES, RunFrame, percentile_ms
from harness.analysis.incidents import Incident, Sample, allowed_bad, find_incident
from harness.analysis.sli import count_outcomes
from harness.analysis.stages import observed_stages
from harness.model.event import Event
from harness.model.history import History
from harness.model.request import Outcome
from harness.model.verdict import EpisodeResult, Stages

__all__ = ["LAG_MS_MAX", "Normal", "judge_episodes", "normal_of"]

LAG_MS_MAX = 50.0  # a generator later than this measures itself; reference: load.md 2.3, rule 4
NOT_SENT_SHARE_MAX = 0.001
_IN_FLIGHT = OUTCOMES.index(Outcome.IN_FLIGHT_AT_END)
_OK = OUTCOMES.index(Outcome.OK)


@dataclass(frozen=True)
class Normal:
    """What is normal, taken from the baseline."""

    p99_s: float  # from sending to the end, of good requests
    bad_rate: float


def normal_of(frame: RunFrame) -> Normal:
    """Of the baseline; of a run without one, nothing is slow and nothing is normal to lose."""
    baseline = frame.users[frame.users["window"] == 0]
    good = baseline[baseline["code"] == _OK]
    eligible = int(baseline["eligible"].sum())
    p99_ms = percentile_ms(good["service_s"].to_numpy(), 0.99)
    return Normal(
        float("inf") if p99_ms is None else p99_ms / 1000, int(baseline["bad"].sum()) / eligible if eligible else 0.0
    )


def judge_episodes(history: History, frame: RunFrame) -> tuple[EpisodeResult, ...]:
    """One result per planned episode that began."""
    normal = normal_of(frame)
    numbers = sorted({window.episode for window in frame.windows if window.episode > 0})
    return tuple(_episode(history, frame, number, normal) for number in numbers)


def _episode(history: History, frame: RunFrame, number: int, normal: Normal) -> EpisodeResult:
    scenario = history.plan.scenario
    indices = [i for i, window in enumerate(frame.windows) if window.episode == number]
    begin_s, end_s = frame.windows[indices[0]].begin_s, frame.windows[indices[-1]].end_s
    users = frame.users[frame.users["window"].isin(indices)]
    events = [e for e in history.events if e.fields.get("episode") == number]
    begun = [e.at_s for e in events if e.kind == "fault_begin"]
    fault_begin_s = min(begun) if begun else None
    incident, stages = Incident(None, None, None), Stages()
    if fault_begin_s is not None:
        settle = (
            normal.p99_s,
            scenario.steady_state.hold_s,
            allowed_bad(scenario.load.rate_per_s, scenario.steady_state.hold_s, normal.bad_rate),
        )
        incident = find_incident(_sample(users, frame.end_s, normal.p99_s), fault_begin_s, end_s, settle)
        stages = observed_stages(history.events, scenario.faults[0].on, fault_begin_s, end_s)
    proven, proof = _proof(events, len(scenario.faults))
    counts = count_outcomes(users)
    lost = {
        name: counts[name]
        for name in OUTCOMES
        if counts[name] and name not in (Outcome.OK, Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END)
    }
    good = users[users["code"] == _OK]
    lag_ms = percentile_ms(users["lag_s"].to_numpy(), 0.99)
    reason = _why_invalid(history, (frame, users), (proven, proof), (number, fault_begin_s, lag_ms))
    ended = [e.at_s for e in events if e.kind in ("fault_end", "fault_healed")]
    return EpisodeResult(
        number=number,
        faults=tuple(f"{fault.kind} on {fault.on}" for fault in scenario.faults),
        begin_s=begin_s,
        fault_begin_s=fault_begin_s,
        fault_end_s=max(e.at_s for e in events if e.kind == "fault_end")
        if any(e.kind == "fault_end" for e in events) and ended
        else None,
        end_s=end_s,
        proven=proven,
        proof=proof,
        valid=not reason,
        invalid_reason=reason,
        requests=len(users),
        lost=lost,
        lost_requests=int(users["bad"].sum()),
        wrong_answers=counts[Outcome.WRONG_ANSWER],
        first_good_s=incident.first_good_s,
        recovery_s=incident.recovery_s,
        stages=stages,
        latency_ms_p99=percentile_ms(good["latency_s"].to_numpy(), 0.99),
        dispatch_lag_ms_p99=lag_ms,
    )


def _sample(users: pd.DataFrame, end_s: float, p99_s: float) -> Sample:
    """The episode's sent requests by time of sending; what the run's end cut off counts as bad once it was late."""
    sent = users[users["sent_s"].notna()].sort_values("sent_s", kind="stable")
    done_s = sent["done_s"].fillna(np.inf).to_numpy()
    cut_off = (sent["code"].to_numpy() == _IN_FLIGHT) & (sent["sent_s"].to_numpy() + p99_s < end_s)
    return Sample(sent["sent_s"].to_numpy(), done_s, sent["bad"].to_numpy() | cut_off, sent["code"].to_numpy() == _OK)


def _proof(events: Sequence[Event], faults: int) -> tuple[bool, str]:
    skipped = [str(e.fields["reason"]) for e in events if e.kind == "fault_skipped"]
    if skipped:
        return False, f"not injected: {'; '.join(skipped)}"
    proofs = [e for e in events if e.kind == "fault_proof"]
    if any(not e.fields["proven"] for e in proofs):
        return False, "; ".join(str(e.fields["evidence"]) for e in proofs if not e.fields["proven"])
    if len(proofs) < faults:
        seen = "; ".join(str(e.fields["evidence"]) for e in proofs)
        return (
            False,
            f"no evidence that {'every fault' if proofs else 'it'} took effect{f' (only: {seen})' if seen else ''}",
        )
    return True, "; ".join(str(e.fields["evidence"]) for e in proofs)


def _why_invalid(
    history: History,
    data: tuple[RunFrame, pd.DataFrame],
    proof: tuple[bool, str],
    at: tuple[int, float | None, float | None],
) -> str:
    """Why nothing can be concluded from an episode; empty when it can."""
    frame, users = data
    number, fault_begin_s, lag_ms = at
    if not proof[0]:
        return f"the fault is not proven: {proof[1]}"
    if fault_begin_s is None:
        return "the fault never began"
    for fault in history.plan.scenario.faults:
        if not _reached(frame, fault.on, number, fault_begin_s):
            return f"no request reached {fault.on} before its fault, so the fault proves nothing"
    if lag_ms is not None and lag_ms > LAG_MS_MAX:
        return f"the load generator fell behind: dispatch lag p99 {lag_ms:.0f} ms, above {LAG_MS_MAX:.0f} ms"
    not_sent = int((users["code"] == OUTCOMES.index(Outcome.NOT_SENT)).sum())
    if len(users) and not_sent / len(users) > NOT_SENT_SHARE_MAX:
        return f"the load generator did not send {not_sent} of {len(users)} requests"
    planned_end_s = max(w.end_s for w in history.plan.windows if w.episode == number) + frame.begin_s
    if frame.end_s < planned_end_s - 0.1:
        return "the run ended before the episode did"
    return ""


def _reached(frame: RunFrame, replica: str, number: int, fault_begin_s: float) -> bool:
    """Whether users were being served by the replica when it broke: a fault on an idle part tells nothing of them.

    True for a target that does not say who served a request.
    """
    served_by = frame.users["served_by"]
    if served_by.isna().all():
        return True
    since_s = max((w.begin_s for w in frame.windows if w.episode == number - 1), default=frame.begin_s)
    scheduled = frame.users["scheduled_s"]
    before = (scheduled >= since_s) & (scheduled < fault_begin_s) & (scheduled >= fault_begin_s - 10.0)
    return bool((served_by[before] == replica).any())
