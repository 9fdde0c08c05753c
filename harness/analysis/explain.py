"""The edges of an episode, request by request: for the engineer who does not believe a number yet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.analysis.episodes import judge_episodes
from harness.analysis.frame import OUTCOMES, make_frame
from harness.model.errors import HarnessError
from harness.model.event import Event
from harness.model.history import History
from harness.model.verdict import EpisodeResult

__all__ = ["explain_episode"]

AROUND = 3  # requests shown on each side of an edge


def explain_episode(history: History, number: int) -> Iterator[str]:
    """Lines for the terminal. Times are seconds after the fault's begin. Raises HarnessError for an unknown episode."""
    frame = make_frame(history)
    episodes = {one.number: one for one in judge_episodes(history, frame)}
    if number not in episodes:
        known = f"there are {len(episodes)}" if episodes else "there is none"
        raise HarnessError(f"the run has no episode {number}: {known}")
    one = episodes[number]
    zero_s = one.begin_s if one.fault_begin_s is None else one.fault_begin_s
    users = frame.users.sort_values("sent_s", kind="stable")
    users = users[
        (users["scheduled_s"] >= one.begin_s - 5.0) & (users["scheduled_s"] < one.end_s) & users["sent_s"].notna()
    ]
    yield f"episode {number}: {', '.join(one.faults)}; {one.proof}"
    yield from _summary(one)
    bad = np.flatnonzero(users["bad"].to_numpy())
    if bad.size:
        yield ""
        yield "the first lost request, and what was around it"
        yield from _requests(users, int(bad[0]), zero_s)
        yield "the last lost request, and what was around it"
        yield from _requests(users, int(bad[-1]), zero_s)
    yield ""
    yield "events"
    for event in history.events:
        if one.begin_s - 1.0 <= event.at_s <= one.end_s and event.kind != "counters":
            yield _event(event, zero_s)


def _summary(one: EpisodeResult) -> Iterator[str]:
    lost = ", ".join(f"{count} {name}" for name, count in one.lost.items()) or "nothing"
    yield f"lost {one.lost_requests} of {one.requests}: {lost}"
    if one.recovery_s is not None:
        high = "not by the end" if one.recovery_s.high is None else f"at most {one.recovery_s.high:.3f} s"
        yield f"recovery: at least {one.recovery_s.low:.3f} s (sending of the last lost request),"
        yield f"          {high} (end of the first good one sent after it)"
    if one.supervision:
        yield f"supervisor: {one.supervision}"
    if not one.valid:
        yield f"not valid: {one.invalid_reason}"


def _requests(users: pd.DataFrame, at: int, zero_s: float) -> Iterator[str]:
    yield f"  {'request':>8} {'sent':>9} {'done':>9} {'latency':>9}  outcome"
    for position in range(max(0, at - AROUND), min(len(users), at + AROUND + 1)):
        row = users.iloc[position]
        by = "" if not isinstance(row["served_by"], str) else f" by {row['served_by']}"
        mark = "->" if position == at else "  "
        latency = "–" if np.isnan(row["latency_s"]) else f"{row['latency_s'] * 1000:.0f} ms"
        done = "–" if np.isnan(row["done_s"]) else f"{row['done_s'] - zero_s:.3f}"
        times = f"{row['sent_s'] - zero_s:>9.3f} {done:>9} {latency:>9}"
        yield f"{mark}{row['index']:>8} {times}  {OUTCOMES[row['code']]}{by}"


def _event(event: Event, zero_s: float) -> str:
    fields = ", ".join(
        f"{key} {value}" for key, value in event.fields.items() if key not in ("episode", "fault", "seq")
    )
    return f"  {event.at_s - zero_s:9.3f} s  {event.kind:22} {fields}".rstrip()
