"""Service level indicators: what was scheduled, what became of it, and how fast the good ones were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.frame import OUTCOMES, RunFrame, percentile_ms
from harness.model.event import Event
from harness.model.request import COUNTED_OUTSIDE_SLI, Outcome
from harness.model.verdict import PhaseResult

__all__ = ["count_outcomes", "count_run", "eligible_of", "mean_latency_s", "phase_results", "target_count"]

_OK = OUTCOMES.index(Outcome.OK)


def count_outcomes(users: pd.DataFrame) -> dict[str, int]:
    """Outcome -> number, every outcome listed; the sum is the number of scheduled requests."""
    counts = np.bincount(users["code"].to_numpy(), minlength=len(OUTCOMES))
    return dict(zip(OUTCOMES, (int(count) for count in counts), strict=True))


def count_run(frame: RunFrame, planned: int) -> dict[str, Any]:
    """The headline numbers of the whole schedule; `planned` is what the plan said would be sent."""
    outcomes = count_outcomes(frame.users)
    eligible, good = int(frame.users["eligible"].sum()), outcomes[Outcome.OK]
    return {
        "planned": planned,
        "scheduled": len(frame.users),
        "outcomes": outcomes,
        "eligible": eligible,
        "good": good,
        "lost": eligible - good,
        "wrong_answers": outcomes[Outcome.WRONG_ANSWER],
        "success_rate": good / eligible if eligible else None,
        "checked_answers": int((frame.users["checked"] & frame.users["eligible"]).sum()),
    }


def mean_latency_s(frame: RunFrame) -> float | None:
    """Of all good requests, from their scheduled times; None: there is none."""
    good = frame.users["code"].to_numpy() == _OK
    return float(frame.users["latency_s"].to_numpy()[good].mean()) if good.any() else None


def eligible_of(phase: PhaseResult) -> int:
    """How many of its requests count in the SLI."""
    return sum(count for outcome, count in phase.outcomes.items() if outcome not in COUNTED_OUTSIDE_SLI)


def phase_results(frame: RunFrame) -> tuple[PhaseResult, ...]:
    """One result per phase, all its windows together, in the order baseline, fault, recovery."""
    found = []
    for phase in ("baseline", "fault", "recovery"):
        windows = [window for window in frame.windows if window.phase == phase]
        if windows:
            seconds = sum(window.end_s - window.begin_s for window in windows)
            found.append(_phase(phase, round(seconds, 3), frame.of_phase(phase)))
    return tuple(found)


def _phase(phase: str, seconds: float, users: pd.DataFrame) -> PhaseResult:
    outcomes = count_outcomes(users)
    eligible = int(users["eligible"].sum())
    good = users["code"].to_numpy() == _OK
    latency, ttft, gap = (users[name].to_numpy()[good] for name in ("latency_s", "ttft_s", "gap_max_s"))
    return PhaseResult(
        phase=phase,
        seconds=seconds,
        requests=len(users),
        outcomes=outcomes,
        success_rate=outcomes[Outcome.OK] / eligible if eligible else None,
        latency_ms_p50=percentile_ms(latency, 0.5),
        latency_ms_p95=percentile_ms(latency, 0.95),
        latency_ms_p99=percentile_ms(latency, 0.99),
        ttft_ms_p50=percentile_ms(ttft, 0.5),
        ttft_ms_p99=percentile_ms(ttft, 0.99),
        gap_ms_max=percentile_ms(gap, 1.0),
        dispatch_lag_ms_p99=percentile_ms(users["lag_s"].to_numpy(), 0.99),
    )


def probe_share(events: Sequence[Event], replicas: Iterable[str]) -> float | None:
    """Share of probes in what the replicas received, 0 to 1: they are no users, but they cost the target something."""
    counts = [count for name in replicas if (count := target_count(events, name)) is not None]
    probes = sum(count.get("probe_received", 0) for count in counts)
    users = sum(count.get("received", 0) for count in counts)
    return probes / (probes + users) if counts and probes + users else None


def target_count(events: Sequence[Event], source: str) -> Mapping[str, int] | None:
    """Sums of the last counters of every incarnation of `source`; None when it published none.

    A process that was killed took what it had counted since the last reading with it, so the sum is a lower bound when
    `incarnations` is above 1.
    """
    last: dict[str, Event] = {}
    # By time, not by place in the log: a reading that was under way may be written after a later one.
    for event in sorted(events, key=lambda event: event.at_s):
        if event.kind == "counters" and event.fields.get("source") == source:
            last[str(event.fields.get("incarnation"))] = event
    if not last:
        return None
    total: dict[str, int] = {"incarnations": len(last)}
    for event in last.values():
        for key, value in event.fields.items():
            if isinstance(value, int) and not isinstance(value, bool):
                total[key] = total.get(key, 0) + value
    return total
