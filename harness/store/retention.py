"""Which run folders may go, and their removal. Never a live run, nor one that left something broken behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.record.append import being_written
from harness.record.journal import pending

__all__ = ["Policy", "StoredRun", "choose", "look_at", "remove"]

DAY_S = 86_400.0


@dataclass(frozen=True)
class Policy:
    """What to keep. A run goes when any limit says so; None: no such limit."""

    days: float | None = None  # younger than this
    count: int | None = None  # so many, the latest
    size_bytes: int | None = None  # so much in all, the latest


@dataclass(frozen=True)
class StoredRun:
    """A run's folder on the disk."""

    path: Path
    begun_s: float  # seconds since 1970, of the header; of a folder without one, its last change
    size_bytes: int
    kept_since: str  # why it may not be removed; empty: it may


def look_at(path: Path, live: Iterable[str]) -> StoredRun:
    """Size and age of a run's folder. `live`: folders of the runs that are registered as alive on this machine."""
    size = sum(_size(Path(folder) / name) for folder, _, names in os.walk(path) for name in names)
    return StoredRun(path, _begun_s(path), size, _why_kept(path, live))


def _why_kept(path: Path, live: Iterable[str]) -> str:
    if being_written(path / "events.jsonl"):
        return "it is still going on"
    if str(path.resolve()) in set(live):
        return "it has not been cleaned up: 'harness undo' first"
    if not (path / "header.json").exists():
        return "it has no header.json, so the harness did not make it here"
    try:
        left = pending(path / "undo.jsonl")
    except (KeyError, OSError, TypeError, ValueError):
        return "its journal cannot be read, so nobody knows what it left behind"
    return f"it left a fault that was not healed: 'harness undo {path}' first" if left else ""


def _begun_s(path: Path) -> float:
    try:
        wall = str(json.loads((path / "header.json").read_text(encoding="utf-8"))["wall_begin"])
        begun = datetime.fromisoformat(wall)
        return (begun if begun.tzinfo else begun.replace(tzinfo=UTC)).timestamp()
    except (OSError, LookupError, TypeError, ValueError):
        return path.stat().st_mtime


def _size(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:  # gone in the meantime
        return 0


def choose(runs: Sequence[StoredRun], policy: Policy, now_s: float) -> list[StoredRun]:
    """The runs that the policy gives up, the oldest first: past a limit everything older goes, whatever its size."""
    gone, kept, size = [], 0, 0
    for run in sorted(runs, key=lambda one: (one.begun_s, one.path.name), reverse=True):
        kept, size = kept + 1, size + run.size_bytes
        old = policy.days is not None and now_s - run.begun_s > policy.days * DAY_S
        many = policy.count is not None and kept > policy.count
        much = policy.size_bytes is not None and size > policy.size_bytes
        if (old or many or much) and not run.kept_since:
            gone.append(run)
    return gone[::-1]


def remove(run: StoredRun) -> None:
    """Remove a run's folder: out of sight at once, so that nobody ever meets half of one. Raises OSError."""
    assert not run.kept_since, run.kept_since
    aside = run.path.with_name(f".pruned-{run.path.name}")
    os.replace(run.path, aside)
    shutil.rmtree(aside)
