"""A judged run of trials -> the night's episode records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.analysis.frame import OUTCOMES, RunFrame, make_frame, percentile_ms
from harness.model.event import Event
from harness.model.history import History
from harness.model.request import Outcome
from harness.model.soak import SoakFile
from harness.model.soak_trials import FaultFree, Night, Trial
from harness.model.verdict import EpisodeResult, Interval, Verdict, VerdictOutcome
from harness.soak.latency import bins_of
from harness.soak.schedule import types_by_faults
from harness.soak.stretches import Sampled, stretches_of

__all__ = ["Circumstances", "night_of"]

_OK = OUTCOMES.index(Outcome.OK)
_WRONG = OUTCOMES.index(Outcome.WRONG_ANSWER)
_TRUST = (
    "accounting",
    "baseline",
    "generator",
    "clean_up",
    "records",
)  # a night that was cut off is shorter, not wrong
SLOW = 2.0  # times the fault-free p99


@dataclass(frozen=True)
class Circumstances:
    """What the run's own records do not say."""

    build: str
    configuration: str
    model: str
    real_time: bool = False
    sampled: tuple[Sampled, ...] = ()  # beside the run
    not_sampled: tuple[str, ...] = ()


def night_of(soak: SoakFile, history: History, verdict: Verdict, around: Circumstances) -> Night:
    """Every trial of the run with what became of it; one that proves nothing is there too, and says why."""
    frame = make_frame(history)
    fault_free = _fault_free(frame)
    doubts = tuple(f.reason for f in verdict.findings if f.check in _TRUST and f.outcome is not VerdictOutcome.PASS)
    inside = frame.users[frame.users["window"] >= 0]
    return Night(
        run_id=history.header.run_id,
        wall_begin=history.header.wall_begin,
        soak=soak.name,
        seed=history.plan.seed,
        stack=history.plan.stack,
        build=around.build,
        configuration=around.configuration,
        host=history.header.host,
        model=around.model,
        rate_per_s=history.plan.scenario.load.rate_per_s,
        duration_s=round(frame.end_s - frame.begin_s, 3),
        scheduled=int(inside["eligible"].sum()),
        lost=int(inside["bad"].sum()),
        trusted=not doubts,
        doubts=doubts,
        fault_free=fault_free,
        trials=tuple(_trials(soak, history, frame, (verdict.episodes, fault_free))),
        real_time=around.real_time,
        stretches=stretches_of(frame, verdict.episodes, around.sampled),
        not_sampled=around.not_sampled,
    )


def _trials(
    soak: SoakFile,
    history: History,
    frame: RunFrame,
    judged: tuple[Sequence[EpisodeResult], FaultFree | None],
) -> Iterator[Trial]:
    episodes, fault_free = judged
    names = types_by_faults(soak)
    planned = {
        number: frozenset(s.fault for s in history.plan.steps if s.episode == number and s.action == "inject")
        for number in {step.episode for step in history.plan.steps}
    }
    known = fault_free.slow_above_s if fault_free else None
    slow_above_s = float("inf") if known is None else known
    starts = sorted((e for e in history.events if e.kind.startswith("target.")), key=lambda e: e.at_s)
    over_s = 0.0
    for one in episodes:
        if one.fault_begin_s is None and one.number not in planned:
            continue
        begin_s = one.begin_s if one.fault_begin_s is None else one.fault_begin_s
        seen = _Seen(frame.of_episode(one.number), slow_above_s, _loading_s(starts, frame.begin_s, one))
        yield _trial(one, names[planned[one.number]], (begin_s, max(0.0, begin_s - over_s)), seen)
        over_s = max(begin_s, one.fault_end_s or begin_s)


@dataclass(frozen=True)
class _Seen:
    """Of one trial."""

    users: pd.DataFrame
    slow_above_s: float
    loading_s: float | None


def _trial(one: EpisodeResult, name: str, times: tuple[float, float], seen: _Seen) -> Trial:
    begin_s, gap_s = times
    users = seen.users
    code = users["code"].to_numpy()
    latency_s = users["latency_s"].to_numpy()[code == _OK]
    return Trial(
        fault_type=name,
        order=one.number,
        begin_s=round(begin_s, 6),
        gap_s=round(gap_s, 6),
        window_s=round(one.end_s - begin_s, 6),
        valid=one.valid,
        invalid_reason=one.invalid_reason,
        proof=one.proof,
        incident=one.recovery_s is not None,
        first_good_s=_pair(one.first_good_s),
        recovery_s=_pair(one.recovery_s),
        detect_s=one.stages.detect_s,
        isolate_s=one.stages.isolate_s,
        restore_s=one.stages.restore_s,
        verify_s=one.stages.verify_s,
        loading_s=seen.loading_s,
        requests=int(users["eligible"].sum()),
        lost=int(users["bad"].sum()),
        slow=int((latency_s > seen.slow_above_s).sum()),
        wrong=int((code == _WRONG).sum()),
        in_flight_max=_in_flight_max(users),
        latency_s_sum=round(float(np.nansum(latency_s)), 6),
        latency_bins=bins_of(latency_s),
    )


def _pair(interval: Interval | None) -> tuple[float, float | None] | None:
    return None if interval is None else (interval.low, interval.high)


def _loading_s(events: Sequence[Event], origin_s: float, one: EpisodeResult) -> float | None:
    """The longest time from a new process's start to its word that it is ready; None: none started."""
    low, high = origin_s + one.begin_s, origin_s + one.end_s
    started: dict[object, float] = {}
    longest: float | None = None
    for event in events:
        if not low <= event.at_s < high:
            continue
        replica = event.fields.get("replica")
        if event.kind == "target.started":
            started[replica] = event.at_s
        elif event.kind == "target.ready_green" and replica in started:
            longest = max(longest or 0.0, event.at_s - started.pop(replica))
    return longest


def _in_flight_max(users: pd.DataFrame) -> int:
    """Most requests that had been sent and not ended at one moment."""
    sent = users["sent_s"].to_numpy()
    sent, done = sent[~np.isnan(sent)], users["done_s"].to_numpy()
    done = done[~np.isnan(done)]
    if sent.size == 0:
        return 0
    at = np.concatenate([done, sent])
    change = np.concatenate([-np.ones(done.size), np.ones(sent.size)])
    order = np.argsort(at, kind="stable")  # at the same moment an end counts first
    return int(max(0, np.cumsum(change[order]).max()))


def _fault_free(frame: RunFrame) -> FaultFree | None:
    """The baseline window; None: nobody was due in it."""
    users = frame.of_episode(0)
    windows = [window for window in frame.windows if window.episode == 0]
    if not windows or not users["eligible"].any():
        return None
    good = users["code"].to_numpy() == _OK
    latency_s = users["latency_s"].to_numpy()[good]
    p99_ms = percentile_ms(latency_s, 0.99)
    return FaultFree(
        seconds=round(windows[0].end_s - windows[0].begin_s, 3),
        requests=int(users["eligible"].sum()),
        lost=int(users["bad"].sum()),
        latency_s_sum=round(float(np.nansum(latency_s)), 6),
        slow_above_s=None if p99_ms is None else SLOW * p99_ms / 1000,
        in_flight_max=_in_flight_max(users),
        latency_bins=bins_of(latency_s),
        per_minute=tuple(_per_minute(users, windows[0].begin_s)),
    )


def _per_minute(users: pd.DataFrame, begin_s: float) -> Iterator[tuple[float, int, int, float]]:
    minute = ((users["scheduled_s"].to_numpy() - begin_s) // 60).astype(int)
    for number in np.unique(minute):
        some = users.iloc[np.flatnonzero(minute == number)]
        good = some["latency_s"].to_numpy()[some["code"].to_numpy() == _OK]
        mean = float(np.mean(good)) if good.size else float("nan")
        if not np.isnan(mean):
            yield float(number * 60), int(some["eligible"].sum()), int(some["bad"].sum()), round(mean, 6)
