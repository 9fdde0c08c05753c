"""A history as a table: one row per user request, times in seconds from the run's origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.model.event import Event
from harness.model.history import History
from harness.model.plan import Window
from harness.model.request import Lane, Outcome

__all__ = ["OUTCOMES", "Floats", "RunFrame", "make_frame", "percentile_ms"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
OUTCOMES: tuple[str, ...] = tuple(str(outcome) for outcome in Outcome)
_OUTSIDE = (Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END)


@dataclass(frozen=True)
class RunFrame:
    """The user lane, the control lane and where the schedule's windows lie on the run's clock.

    `users` has the columns scheduled_s, sent_s, first_byte_s, done_s, latency_s (from the scheduled time), service_s
    (from sending), lag_s, code (index into OUTCOMES), bad, eligible, served_by, task, ttft_s, gap_max_s, window (index
    into `windows`, -1 outside), index. It is sorted by scheduled_s.
    """

    users: pd.DataFrame
    control_s: pd.DataFrame  # scheduled_s, latency_s of the echo requests
    windows: tuple[Window, ...]  # on the run's clock; the last may end early
    begin_s: float
    end_s: float  # of observation


def make_frame(history: History) -> RunFrame:
    """Build the tables. Requests in flight when a fault begins, and lost, belong to that fault's episode."""
    columns = history.requests
    lane = np.asarray(columns["lane"], dtype=object)
    users = _lane(history, lane == Lane.USER.value)
    control = _lane(history, lane == Lane.CONTROL.value)
    begin_s = _schedule_begin_s(history, users)
    end_s = _end_s(history, users, begin_s)
    windows = tuple(
        Window(w.phase, w.episode, begin_s + w.begin_s, min(begin_s + w.end_s, end_s))
        for w in history.plan.windows
        if begin_s + w.begin_s < end_s
    )
    users["window"] = _assign(users, windows, history.events)
    return RunFrame(users, control[["scheduled_s", "latency_s"]], windows, begin_s, end_s)


def percentile_ms(seconds: Floats, quantile: float) -> float | None:
    """The exact order statistic (no interpolation between values that never happened), in milliseconds."""
    known = seconds[~np.isnan(seconds)]
    if known.size == 0:
        return None
    return round(float(np.quantile(known, quantile, method="inverted_cdf")) * 1000, 3)


def _lane(history: History, rows: Any) -> pd.DataFrame:
    def seconds(name: str) -> Floats:
        return np.asarray(np.asarray(history.requests[name], dtype=np.float64)[rows] / 1e6)

    def words(name: str) -> pd.Categorical:
        return pd.Categorical(np.asarray(history.requests[name], dtype=object)[rows])

    outcome = pd.Categorical(np.asarray(history.requests["outcome"], dtype=object)[rows], categories=list(OUTCOMES))
    frame = pd.DataFrame(
        {
            "index": np.asarray(history.requests["index"])[rows],
            "scheduled_s": seconds("scheduled_us"),
            "sent_s": seconds("sent_us"),
            "first_byte_s": seconds("first_byte_us"),
            "done_s": seconds("done_us"),
            "ttft_s": seconds("ttft_us"),
            "gap_max_s": seconds("gap_max_us"),
            "code": np.asarray(outcome.codes, dtype=np.int8),
            "checked": np.asarray(history.requests["checked"], dtype=bool)[rows],
            "served_by": words("served_by"),
            "task": words("task"),
        }
    )
    frame["latency_s"] = frame["done_s"] - frame["scheduled_s"]
    frame["service_s"] = frame["done_s"] - frame["sent_s"]
    frame["lag_s"] = frame["sent_s"] - frame["scheduled_s"]
    frame["eligible"] = ~frame["code"].isin([OUTCOMES.index(outcome) for outcome in _OUTSIDE])
    frame["bad"] = frame["eligible"] & (frame["code"] != OUTCOMES.index(Outcome.OK))
    return frame.sort_values("scheduled_s", kind="stable", ignore_index=True)


def _schedule_begin_s(history: History, users: pd.DataFrame) -> float:
    for event in history.events:
        if event.kind == "schedule_begin":
            return float(event.fields["begin_s"])
    return float(users["scheduled_s"].min()) if len(users) else 0.0


def _end_s(history: History, users: pd.DataFrame, begin_s: float) -> float:
    """Where observation ends: the schedule's end, or where the run was cut off."""
    planned_s = begin_s + history.plan.duration_s
    cut = [event.at_s for event in history.events if event.kind in ("stopped", "broken")]
    if cut:
        return max(begin_s, min(planned_s, *cut))
    if not any(event.kind == "run_end" for event in history.events):
        last = [float(value) for value in (users["done_s"].max(), users["sent_s"].max()) if not np.isnan(value)]
        last += [event.at_s for event in history.events[-1:]]
        return max(begin_s, min(planned_s, max(last, default=begin_s)))
    return planned_s


def _assign(users: pd.DataFrame, windows: tuple[Window, ...], events: Any) -> Any:
    edges = np.array([w.begin_s for w in windows] + ([windows[-1].end_s] if windows else []))
    scheduled = users["scheduled_s"].to_numpy()
    window = np.searchsorted(edges, scheduled, side="right") - 1
    window[(window < 0) | (window >= len(windows))] = -1
    for event in events:
        if event.kind == "fault_begin":
            first = next((i for i, w in enumerate(windows) if w.episode == event.fields["episode"]), None)
            if first is not None:
                _move_in_flight(users, window, event, first)
    return window


def _move_in_flight(users: pd.DataFrame, window: Any, fault_begin: Event, first: int) -> None:
    scheduled, done = users["scheduled_s"].to_numpy(), users["done_s"].to_numpy()
    upto = int(np.searchsorted(scheduled, fault_begin.at_s))
    since = int(np.searchsorted(scheduled, fault_begin.at_s - 3600.0))
    rows = slice(since, upto)
    hit = (
        users["bad"].to_numpy()[rows] & (done[rows] >= fault_begin.at_s) & (window[rows] < first) & (window[rows] >= 0)
    )
    window[rows] = np.where(hit, first, window[rows])
