"""A history as a table: one row per user request, times in seconds from the run's origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from harness.model.event import Event
from harness.model.history import History
from harness.model.plan import Window
from harness.model.request import COUNTED_OUTSIDE_SLI, Lane, Outcome

__all__ = ["OUTCOMES", "Floats", "RunFrame", "make_frame", "percentile_ms"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Words = tuple[np.ndarray[Any, np.dtype[np.intp]], list[str]]
OUTCOMES: tuple[str, ...] = tuple(str(outcome) for outcome in Outcome)


@dataclass(frozen=True)
class RunFrame:
    """The user lane, the control lane and where the schedule's windows lie on the run's clock.

    `users` has the columns scheduled_s, sent_s, done_s, latency_s (from the scheduled time), service_s (from sending),
    lag_s, code (index into OUTCOMES), bad, eligible, checked, served_by, ttft_s, gap_max_s, window (index into
    `windows`, -1 outside), index. It is sorted by scheduled_s.
    """

    users: pd.DataFrame
    control_s: pd.DataFrame  # scheduled_s, latency_s of the echo requests
    windows: tuple[Window, ...]  # on the run's clock; the last may end early
    begin_s: float
    end_s: float  # of observation

    def of_phase(self, phase: str) -> pd.DataFrame:
        """The user requests of a phase, all its windows together."""
        wanted = np.array([*(window.phase == phase for window in self.windows), False])  # the last is -1: outside
        return self.users.iloc[np.flatnonzero(wanted[self.users["window"].to_numpy()])]

    def of_episode(self, number: int) -> pd.DataFrame:
        """The user requests of an episode; 0 is the baseline."""
        rows = self._rows.get(number)
        return self.users.iloc[0:0] if rows is None else self.users.iloc[rows]

    @cached_property
    def _rows(self) -> dict[int, np.ndarray[Any, Any]]:
        """Positions of each episode's requests, found in one pass: a run may have a thousand episodes."""
        of_window = np.array([*(window.episode for window in self.windows), -1])
        episode = of_window[self.users["window"].to_numpy()]
        order = np.argsort(episode, kind="stable")
        numbers, begins = np.unique(episode[order], return_index=True)
        parts = np.split(order, begins[1:])  # of nothing: one empty part
        return dict(zip(numbers.tolist(), parts, strict=False))


def make_frame(history: History) -> RunFrame:
    """Build the tables. Requests in flight when a fault begins, and lost, belong to that fault's episode."""
    words = {name: _words(history, name) for name in ("lane", "outcome", "served_by")}
    users = _lane(history, words, Lane.USER)
    control = _lane(history, words, Lane.CONTROL)
    begun_s = _schedule_begin_s(history, users)
    begin_s = 0.0 if begun_s is None else begun_s
    end_s = begin_s if begun_s is None else _end_s(history, users, begin_s)
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
    place = max(math.ceil(quantile * known.size) - 1, 0)  # as numpy.quantile does with "inverted_cdf", in a tenth of it
    return round(float(np.partition(known, place)[place]) * 1000, 3)


def _lane(history: History, words: Mapping[str, Words], lane: Lane) -> pd.DataFrame:
    codes, lanes = words["lane"]
    rows = np.flatnonzero(codes == lanes.index(lane)) if lane in lanes else np.array([], dtype=np.int64)

    def seconds(name: str) -> Floats:
        return np.asarray(np.asarray(history.requests[name], dtype=np.float64)[rows] / 1e6)

    outcome_codes, outcomes = words["outcome"]
    code = np.array([OUTCOMES.index(outcome) for outcome in outcomes], dtype=np.int8)[outcome_codes[rows]]
    served_by_codes, replicas = words["served_by"]
    frame = pd.DataFrame(
        {
            "index": np.asarray(history.requests["index"])[rows],
            "scheduled_s": seconds("scheduled_us"),
            "sent_s": seconds("sent_us"),
            "done_s": seconds("done_us"),
            "ttft_s": seconds("ttft_us"),
            "gap_max_s": seconds("gap_max_us"),
            "code": code,
            "checked": np.asarray(history.requests["checked"], dtype=bool)[rows],
            "served_by": pd.Categorical.from_codes(served_by_codes[rows], pd.Index(replicas, dtype=object)),
        }
    )
    frame["latency_s"] = frame["done_s"] - frame["scheduled_s"]
    frame["service_s"] = frame["done_s"] - frame["sent_s"]
    frame["lag_s"] = frame["sent_s"] - frame["scheduled_s"]
    frame["eligible"] = ~np.isin(code, [OUTCOMES.index(outcome) for outcome in COUNTED_OUTSIDE_SLI])
    frame["bad"] = frame["eligible"] & (code != OUTCOMES.index(Outcome.OK))
    return frame.sort_values("scheduled_s", kind="stable", ignore_index=True)


def _words(history: History, name: str) -> Words:
    """A column of words as codes and what they stand for; -1: missing."""
    column = history.requests[name]
    if not isinstance(column, pd.Categorical):
        column = pd.Categorical(np.asarray(column, dtype=object))
    return column.codes, [str(word) for word in column.categories]


def _schedule_begin_s(history: History, users: pd.DataFrame) -> float | None:
    """None: the schedule never began, so nothing was observed."""
    for event in history.events:
        if event.kind == "schedule_begin":
            return float(event.fields["begin_s"])
    return float(users["scheduled_s"].min()) if len(users) else None


def _end_s(history: History, users: pd.DataFrame, begin_s: float) -> float:
    """Where observation ends: the schedule's end, or where the run was cut off."""
    cut = [e.at_s for e in history.events if e.kind in ("stopped", "broken", "run_end")]
    if not any(event.kind == "run_end" for event in history.events):  # the harness died: up to the last sign of life
        last = [float(value) for value in (users["done_s"].max(), users["sent_s"].max()) if not np.isnan(value)]
        cut.append(max([*last, *(event.at_s for event in history.events)], default=begin_s))
    return max(begin_s, min(begin_s + history.plan.duration_s, *cut))


def _assign(users: pd.DataFrame, windows: tuple[Window, ...], events: Sequence[Event]) -> Any:
    edges = np.array([w.begin_s for w in windows] + ([windows[-1].end_s] if windows else []))
    scheduled = users["scheduled_s"].to_numpy()
    window = np.searchsorted(edges, scheduled, side="right") - 1
    window[(window < 0) | (window >= len(windows))] = -1
    for event in events:
        if event.kind == "fault_begin":
            first = next((i for i, w in enumerate(windows) if w.episode == event.fields.get("episode")), None)
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
