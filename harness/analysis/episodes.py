"""Each episode judged by itself: what broke, whether that was proven, what users lost, when they had it back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.corruption import observed_corruptions
from harness.analysis.frame import OUTCOMES, RunFrame, percentile_ms
from harness.analysis.incidents import Incident, Sample, allowed_bad, find_incident
from harness.analysis.sli import count_outcomes
from harness.analysis.stages import observed_stages
from harness.analysis.supervision import restarts_of, supervision_words
from harness.model.event import Event
from harness.model.fault import Fault
from harness.model.history import History
from harness.model.plan import Plan
from harness.model.request import Outcome
from harness.model.scenario import Scenario
from harness.model.verdict import EpisodeResult, Stages

__all__ = ["LAG_MS_MAX", "Normal", "judge_episodes", "normal_of"]

LAG_MS_MAX = 50.0  # a generator later than this measures itself; reference: load.md 2.3, rule 4
NOT_SENT_SHARE_MAX = 0.001
SERVING_S = 10.0  # a replica that answered nobody for longer before its fault was idle
_IN_FLIGHT = OUTCOMES.index(Outcome.IN_FLIGHT_AT_END)
_OK = OUTCOMES.index(Outcome.OK)


@dataclass(frozen=True)
class Normal:
    """What is normal, taken from the baseline."""

    p99_s: float  # from sending to the end, of good requests
    bad_rate: float


def normal_of(frame: RunFrame) -> Normal:
    """Of the baseline; of a run without one, nothing is slow and nothing is normal to lose."""
    baseline = frame.of_episode(0)
    good = baseline["code"].to_numpy() == _OK
    eligible = int(baseline["eligible"].sum())
    p99_ms = percentile_ms(baseline["service_s"].to_numpy()[good], 0.99)
    return Normal(
        float("inf") if p99_ms is None else p99_ms / 1000, int(baseline["bad"].sum()) / eligible if eligible else 0.0
    )


def judge_episodes(history: History, frame: RunFrame) -> tuple[EpisodeResult, ...]:
    """One result per planned episode that began."""
    normal = normal_of(frame)
    target_events = sorted((e for e in history.events if e.kind.startswith("target.")), key=lambda e: e.at_s)
    of_episode: dict[object, list[Event]] = defaultdict(list)
    for event in history.events:
        if "episode" in event.fields:
            of_episode[event.fields["episode"]].append(event)
    numbers = sorted({window.episode for window in frame.windows if window.episode > 0})
    return tuple(_episode(history, frame, (number, normal), (of_episode[number], target_events)) for number in numbers)


_LOSSES = tuple(name for name in OUTCOMES if name not in (Outcome.OK, Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END))


def _episode(
    history: History, frame: RunFrame, which: tuple[int, Normal], seen: tuple[Sequence[Event], Sequence[Event]]
) -> EpisodeResult:
    scenario = history.plan.scenario
    number, normal = which
    events, target_events = seen
    faults = _faults_of(history.plan, number)
    windows = [window for window in frame.windows if window.episode == number]
    begin_s, end_s = windows[0].begin_s, windows[-1].end_s
    users = frame.of_episode(number)
    begun = sorted((e for e in events if e.kind == "fault_begin"), key=lambda e: e.at_s)
    fault_begin_s = begun[0].at_s if begun else None
    incident, stages = Incident(None, None, None), Stages()
    if fault_begin_s is not None:
        sample = _sample(users, frame.end_s, normal.p99_s)
        incident = find_incident(sample, fault_begin_s, end_s, _settled(scenario, normal))
        stages = observed_stages(target_events, str(begun[0].fields["on"]), fault_begin_s, end_s)
    proven, proof = _proof(events, len(faults))
    counts = count_outcomes(users)
    good = users["code"].to_numpy() == _OK
    lag_ms = percentile_ms(users["lag_s"].to_numpy(), 0.99)
    reason = "" if proven else f"the fault is not proven: {proof}"
    reason = reason or _unreached(frame, begun, (number, end_s), (events, target_events, history.plan.target))
    reason = reason or _unfit(history, frame, (number, users, lag_ms))
    return EpisodeResult(
        number=number,
        faults=tuple(f"{fault.kind} on {fault.on}" for fault in faults),
        begin_s=begin_s,
        fault_begin_s=fault_begin_s,
        fault_end_s=max((e.at_s for e in events if e.kind == "fault_end"), default=None),
        end_s=end_s,
        proven=proven,
        proof=proof,
        valid=not reason,
        invalid_reason=reason,
        requests=len(users),
        lost={name: counts[name] for name in _LOSSES if counts[name]},
        lost_requests=int(users["bad"].sum()),
        wrong_answers=counts[Outcome.WRONG_ANSWER],
        first_good_s=incident.first_good_s,
        recovery_s=incident.recovery_s,
        stages=stages,
        latency_ms_p99=percentile_ms(users["latency_s"].to_numpy()[good], 0.99),
        dispatch_lag_ms_p99=lag_ms,
        **_supervised(target_events, begin_s, end_s),
        corruptions=observed_corruptions(events, target_events, users, min(end_s, frame.end_s)),
        checked_answers=int((users["checked"] & users["eligible"]).sum()),
    )


def _faults_of(plan: Plan, number: int) -> list[Fault]:
    """Those that the plan injects in an episode: of a scenario all, of a night of trials one type."""
    chosen = {step.fault for step in plan.steps if step.episode == number and step.action == "inject"}
    return [fault for index, fault in enumerate(plan.scenario.faults) if index in chosen]


def _supervised(target_events: Sequence[Event], begin_s: float, end_s: float) -> dict[str, Any]:
    words = supervision_words(target_events, begin_s, end_s)
    return {"restarts": restarts_of(target_events, begin_s, end_s) if target_events else None, "supervision": words}


def _settled(scenario: Scenario, normal: Normal) -> tuple[float, float, int]:
    hold_s = scenario.steady_state.hold_s
    return normal.p99_s, hold_s, allowed_bad(scenario.load.rate_per_s, hold_s, normal.bad_rate)


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
    lost = [str(e.fields["reason"]) for e in events if e.kind == "fault_lost"]
    if lost:
        return False, f"it did not last: {'; '.join(lost)}"
    proofs = [e for e in events if e.kind == "fault_proof"]
    if any(not e.fields["proven"] for e in proofs):
        return False, "; ".join(str(e.fields["evidence"]) for e in proofs if not e.fields["proven"])
    if len({e.fields["fault"] for e in proofs}) < faults:
        seen = "; ".join(str(e.fields["evidence"]) for e in proofs)
        return (
            False,
            f"no evidence that {'every fault' if proofs else 'it'} took effect{f' (only: {seen})' if seen else ''}",
        )
    return True, "; ".join(str(e.fields["evidence"]) for e in proofs)


def _unreached(
    frame: RunFrame,
    begun: Sequence[Event],
    at: tuple[int, float],
    seen: tuple[Sequence[Event], Sequence[Event], Container[str]],
) -> str:
    """Why the faults tell nothing of the users: each must have hit a replica that was serving them, or their way."""
    number, end_s = at
    events, target_events, replicas = seen
    if not begun:
        return "the fault never began"
    if frame.users["served_by"].isna().all():
        return ""  # the target does not say who served a request
    since_s = max((w.begin_s for w in frame.windows if w.episode == number - 1), default=frame.begin_s)
    for begin in begun:
        over = (e.at_s for e in events if e.kind == "fault_end" and e.fields["fault"] == begin.fields["fault"])
        until_s = max(begin.at_s, min(over, default=end_s))
        on = str(begin.fields["on"])
        # What a replica answered before it was isolated says nothing about a fault that comes later.
        left_s = (e.at_s for e in target_events if e.kind == "target.isolated" and e.fields.get("replica") == on)
        from_s = max(since_s, begin.at_s - SERVING_S, *(at_s for at_s in left_s if at_s < begin.at_s))
        if not _served(frame, on if on in replicas else None, from_s, until_s):
            return f"no request reached {on} around its fault, so the fault proves nothing"
    return ""


def _served(frame: RunFrame, replica: str | None, since_s: float, until_s: float) -> bool:
    """Whether the replica, or with None anybody, was asked by users in that time."""
    scheduled = frame.users["scheduled_s"].to_numpy()
    rows = slice(*np.searchsorted(scheduled, (since_s, until_s)))
    if replica is None:
        return bool(rows.stop > rows.start)
    return bool((frame.users["served_by"].iloc[rows] == replica).any())


def _unfit(history: History, frame: RunFrame, of: tuple[int, pd.DataFrame, float | None]) -> str:
    """Why the instrument cannot be believed in an episode; empty when it can."""
    number, users, lag_ms = of
    if not users["eligible"].any():
        return "no request of a user was due in it"
    if lag_ms is not None and lag_ms > LAG_MS_MAX:
        return f"the load generator fell behind: dispatch lag p99 {lag_ms:.0f} ms, above {LAG_MS_MAX:.0f} ms"
    not_sent = int((users["code"] == OUTCOMES.index(Outcome.NOT_SENT)).sum())
    if not_sent / len(users) > NOT_SENT_SHARE_MAX:
        return f"the load generator did not send {not_sent} of {len(users)} requests"
    planned_end_s = max(w.end_s for w in history.plan.windows if w.episode == number) + frame.begin_s
    if frame.end_s < planned_end_s - 0.1:
        return "the run ended before the episode did"
    return ""
