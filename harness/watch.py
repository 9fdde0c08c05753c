"""What a run's files say of it while they grow: a fold over events and load log, for whoever wants to look."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.load.progress import Progress
from harness.model.errors import RunFolderError
from harness.model.history import Header
from harness.model.plan import Plan
from harness.model.request import COUNTED_OUTSIDE_SLI, Lane, Outcome
from harness.record.request_log import Tail
from harness.store.folder import RunFolder

__all__ = ["RunView", "Watching", "view_lines"]

WINDOW_S = 5.0
NEWS = 6  # events shown
BAR = 40
_KEPT = {
    "fault_begin",
    "fault_proof",
    "fault_end",
    "fault_skipped",
    "fault_lost",
    "stopped",
    "broken",
    "cleanup_failed",
}
_OF_THE_TARGET = ("target.isolated", "target.readmitted", "target.given_up", "target.exited", "target.restarting")


@dataclass
class RunView:
    """The state of a run at one moment. None: not known yet."""

    run_id: str
    plan: Plan
    now_s: float  # from the run's origin; of a run that ended, its last sign of life
    begin_s: float | None = None  # of the schedule
    phase: str = "starting"
    episode: int = 0
    ended: str | None = None  # how
    active: dict[tuple[int, int], str] = field(default_factory=dict)  # faults that are in place now
    fault_s: float | None = None  # begin of the last fault
    out: dict[str, float] = field(default_factory=dict)  # replica -> since when it gets no requests
    names: dict[tuple[int, int], str] = field(default_factory=dict)  # of every fault that began
    news: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=NEWS))
    progress: Progress | None = None  # None: the load log has been turned into Parquet
    last_lost_s: float | None = None  # end of the last lost request
    good_since_s: float | None = None  # end of the first good one after it


class Watching:
    """Reads what was added since the last look; opens files for reading only, and locks none."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._plan = folder.read_plan()
        header = json.loads(folder.header.read_text(encoding="utf-8"))
        self._header = Header(**header)
        self._events = _Lines(folder.events)
        self._tail = Tail(folder.request_log)
        self._progress = Progress()
        self._view = RunView(self._header.run_id, self._plan, 0.0)
        self._last_s = 0.0

    def look(self, now_monotonic_s: float) -> RunView:
        """The state now, by the host's monotonic clock. Raises RunFolderError when the folder has gone."""
        if not self._folder.path.is_dir():
            raise RunFolderError(f"{self._folder.path} has gone")
        for event in self._events.new():
            _fold(self._view, event)
            self._last_s = max(self._last_s, float(event["at_s"]))
        if self._folder.request_log.exists() or self._view.progress is not None:
            self._view.progress = self._progress.add(self._tail.read())
            _recovering(self._view)
        now_s = now_monotonic_s - self._header.origin_monotonic_s
        self._view.now_s = self._last_s if self._view.ended or now_s < self._last_s else now_s
        return self._view


class _Lines:
    """New whole lines of a file of JSON lines; a damaged one is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[Mapping[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                value = json.loads(line)
                if isinstance(value["at_s"], int | float) and isinstance(value["kind"], str):
                    yield value
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


def _fold(view: RunView, event: Mapping[str, Any]) -> None:
    kind, at_s = str(event["kind"]), float(event["at_s"])
    if kind == "schedule_begin":
        view.begin_s = float(event.get("begin_s", at_s))
    elif kind == "phase_begin":
        view.phase, view.episode = str(event.get("phase")), int(event.get("episode", 0))
    elif kind == "run_end":
        view.ended, view.phase = str(event.get("how") or "interrupted"), "ended"
    elif kind in ("stack_up", "target_ready", "warmup_end") and view.begin_s is None:
        view.phase = {"stack_up": "waiting for the target", "target_ready": "warm-up"}.get(kind, view.phase)
    which = (int(event.get("episode", 0)), int(event.get("fault", 0)))
    if kind == "fault_begin":
        view.active[which] = view.names[which] = f"{event.get('fault_kind')} on {event.get('on')}"
        view.fault_s = at_s
    elif kind in ("fault_end", "fault_lost"):
        view.active.pop(which, None)
    elif kind == "target.isolated":
        view.out.setdefault(str(event.get("replica")), at_s)
    elif kind == "target.readmitted":
        view.out.pop(str(event.get("replica")), None)
    # Before the schedule a target only comes up.
    if kind in _KEPT or (kind in _OF_THE_TARGET and view.begin_s is not None):
        view.news.append((at_s, _words(kind, event, view.names.get(which, "") if kind.startswith("fault") else "")))


def _words(kind: str, event: Mapping[str, Any], fault: str) -> str:
    """`fault`: which one, if the event is about one."""
    who, why = fault or event.get("replica") or event.get("on"), _why(event)
    about = ": ".join(str(word) for word in (who, why) if word)
    errors = "; ".join(str(error) for error in event.get("errors", ()))
    name = kind.removeprefix("target.").replace("_", " ")
    return " ".join(f"{name:14} {about}{errors}".split("\n"))[:160].rstrip()


def _why(event: Mapping[str, Any]) -> object:
    said = event.get("evidence") or event.get("reason") or event.get("how")
    return f"NOT PROVEN, {said}" if event.get("proven") is False else said


def _recovering(view: RunView) -> None:
    """Since when users are served again: from what ended within the window that the progress keeps."""
    assert view.progress is not None
    for one in view.progress.lane(Lane.USER).recent:
        if not one.ok:
            if view.last_lost_s is None or one.done_s > view.last_lost_s:
                view.last_lost_s, view.good_since_s = one.done_s, None
        elif view.last_lost_s is not None and view.good_since_s is None and one.done_s > view.last_lost_s:
            view.good_since_s = one.done_s


def view_lines(view: RunView) -> Iterator[str]:
    """The state in words, about a dozen lines."""
    plan, scenario = view.plan, view.plan.scenario
    yield f"{scenario.name} on {plan.stack}  {view.run_id}"
    episodes = f"  episode {view.episode} of {scenario.episodes}" if view.episode else ""
    yield f"phase     {view.phase}{episodes}" + (f" ({view.ended})" if view.ended else "")
    if view.begin_s is not None:
        done_s = min(max(0.0, view.now_s - view.begin_s), plan.duration_s)
        share = done_s / plan.duration_s if plan.duration_s else 1.0
        bar = "━" * round(share * BAR) + "╌" * (BAR - round(share * BAR))
        left = "" if view.ended else f"  {_time(plan.duration_s - done_s)} left"
        yield f"time      {bar} {share:.0%}{left}"
    yield f"faults    {', '.join(view.active.values()) or 'none in place'}"
    if view.begin_s is not None:
        out = [f"{name} gets no requests for {view.now_s - since_s:.1f} s" for name, since_s in view.out.items()]
        yield f"target    {', '.join(out) or 'every replica gets requests'}"
    yield from _users(view)
    if view.news:
        yield "news"
        zero_s = view.begin_s or 0.0
        yield from (f"  {at_s - zero_s:8.2f} s  {words}" for at_s, words in view.news)


def _users(view: RunView) -> Iterator[str]:
    if view.progress is None:
        over = "the load log is closed" if view.ended else "nobody has asked yet"
        yield f"users     {over}"
        return
    lane = view.progress.lane(Lane.USER)
    ok = lane.by_outcome[Outcome.OK]
    lost = lane.ended - ok - sum(lane.by_outcome[name] for name in COUNTED_OUTSIDE_SLI)
    rate = view.progress.success_rate(Lane.USER, view.now_s, WINDOW_S)
    now = "nothing ended" if rate is None else f"{rate:.1%}"
    yield f"users     {ok:,} ok, {lost:,} lost, {lane.in_flight} open; last {WINDOW_S:g} s: {now}"
    yield f"recovery  {_recovery(view)}"


def _recovery(view: RunView) -> str:
    """Of the last loss: how long after the last fault users were served again, as far as can be told so far."""
    if view.last_lost_s is None:
        return "nothing was lost yet"
    if view.good_since_s is None:
        return f"users lose requests, the last {max(0.0, view.now_s - view.last_lost_s):.1f} s ago"
    quiet = f"nothing lost for {max(0.0, view.now_s - view.last_lost_s):.1f} s"
    if view.fault_s is None or view.last_lost_s < view.fault_s:
        return f"served again; {quiet}"
    return f"served again {view.good_since_s - view.fault_s:.1f} s after the fault; {quiet}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
