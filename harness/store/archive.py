"""The run folders below one folder: what each says of itself, in one small read each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.model.archive import LeftOut, RunSummary
from harness.model.errors import RunFolderError
from harness.model.verdict import Estimate, Interval, VerdictOutcome
from harness.record.append import being_written

__all__ = ["RUN_FILES", "find_runs", "read_summary", "summarise"]

DEPTH = 3  # reports/NIGHT/SCENARIO/RUN
RUN_FILES = ("verdict.json", "header.json", "plan.json", "events.jsonl")
_SERIES = '\n  "series": '  # what a line of the archive needs stands before it; a raw line feed is in no JSON string


def find_runs(root: Path) -> Iterator[Path]:
    """Every run's folder below `root`, by name. Links and hidden folders are not followed. Raises RunFolderError."""
    if not root.is_dir():
        raise RunFolderError(
            f"{root} is not a folder: name the one that holds the runs, as 'harness run --out' made it"
        )
    yield from _below(root, DEPTH)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    except OSError:
        return
    for name in found:
        path = folder / name
        if any(os.path.exists(path / file) for file in RUN_FILES):
            yield path
        elif depth > 1:
            yield from _below(path, depth - 1)


def read_summary(root: Path, path: Path) -> RunSummary | LeftOut:
    """The run in `path` as a line of the archive at `root`, or why it is none. Never raises for what a file holds."""
    name = path.relative_to(root).as_posix()
    try:
        text = (path / "verdict.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        if being_written(path / "events.jsonl"):
            return LeftOut(name, "it is still going on; look at it with 'harness watch'", "live")
        return LeftOut(name, f"it was never judged, as when the harness died: 'harness judge {path}'", "not judged")
    except (OSError, UnicodeDecodeError) as error:
        return LeftOut(name, f"verdict.json cannot be read ({error}): 'harness judge {path}'", "broken")
    try:
        return summarise(name, _head(text))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"verdict.json is damaged ({type(error).__name__}: {error}); write it anew with 'harness judge {path}'"
        return LeftOut(name, why, "broken")


def _head(text: str) -> Mapping[str, Any]:
    """The verdict without its time series, which are most of it. A file laid out otherwise is read whole."""
    head, series, _ = text.partition(_SERIES)
    data = json.loads(head.rstrip().rstrip(",") + "}" if series else text)
    if not isinstance(data, dict):
        raise TypeError("it is not an object")
    return data


def summarise(folder: str, data: Mapping[str, Any]) -> RunSummary:
    """A line of the archive from what verdict.json says. Raises KeyError, TypeError, ValueError when damaged."""
    run, sli = data["run"], data["sli"]
    p50 = data["estimates"].get("recovery_s_p50")
    found = [Interval(**one["recovery_s"]) for one in data["episodes"] if one["recovery_s"] is not None]
    worst = max(found, key=lambda one: (float("inf") if one.high is None else one.high, one.low), default=None)
    return RunSummary(
        folder=folder,
        group=folder.rpartition("/")[0],
        run_id=str(run.get("run_id", folder)),
        scenario=str(data["scenario"]),
        stack=str(data["stack"]),
        begun=str(run.get("wall_begin", "")),
        outcome=VerdictOutcome(data["outcome"]),
        reason=str(data["reason"]),
        expect=_text(run.get("expect")),
        seed=str(data["seed"]),
        version=_text(run.get("version")),
        commit=_text(run.get("commit")),
        duration_s=_number(run.get("duration_s")),
        lost=_whole(sli.get("lost")),
        eligible=_whole(sli.get("eligible")),
        wrong_answers=_whole(sli.get("wrong_answers")),
        success_rate=_number(sli.get("success_rate")),
        episodes=len(data["episodes"]),
        recovery_s_p50=None if p50 is None else Estimate(**p50),
        worst_recovery_s=worst,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is no count")
    return value
