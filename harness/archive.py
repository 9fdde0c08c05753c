"""The archive: the index of all runs, two runs compared, and retention. Everything comes from the run folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from harness.model.archive import Archive, Comparison, LeftOut, RunSummary
from harness.model.errors import HarnessError, RunFolderError
from harness.model.verdict import Verdict
from harness.store.archive import find_runs, read_summary
from harness.store.folder import RunFolder
from harness.store.registry import Registry
from harness.store.retention import Policy, StoredRun, choose, look_at, remove

__all__ = ["compare_runs", "prune", "read_archive", "read_verdict", "write_index"]

INDEX = "index.html"


def read_archive(root: Path) -> Archive:
    """Every run below `root`. A folder that cannot be read is listed as left out. Raises RunFolderError."""
    from harness.analysis.trends import archive_of

    found = [read_summary(root, path) for path in find_runs(root)]
    runs = [one for one in found if isinstance(one, RunSummary)]
    return archive_of(runs, [one for one in found if isinstance(one, LeftOut)])


def write_index(root: Path) -> tuple[Path, Archive]:
    """Write index.html into `root`, whole or not at all; returns its path and what it shows."""
    from harness.render.index import to_index

    archive = read_archive(root)
    path, part = root / INDEX, root / f".{INDEX}.part"
    try:
        part.write_text(to_index(archive), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise HarnessError(f"{path} cannot be written: {error.strerror}") from error
    return path, archive


def read_verdict(folder: Path) -> Verdict:
    """The verdict of a judged run. Raises HarnessError with the remedy."""
    from harness.render.verdict_json import from_json

    path = folder / "verdict.json"
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HarnessError(f"{path} is missing: judge the run first with 'harness judge {folder}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read ({error}): write it anew with 'harness judge {folder}'") from error


def compare_runs(a: Path, b: Path) -> Comparison:
    """Two runs that were judged. Raises HarnessError."""
    from harness.analysis.compare import compare

    sides = []
    for folder in (a, b):
        verdict = read_verdict(folder)
        path = folder.resolve()
        line = read_summary(path.parent, path)
        if isinstance(line, LeftOut):
            raise RunFolderError(f"{folder}: {line.why}")
        sides.append((line, verdict, RunFolder(folder).read()))
    return compare(sides[0], sides[1])


def prune(
    root: Path, policy: Policy, registry: Registry, now_s: float, remove_it: Callable[[StoredRun], None] = remove
) -> tuple[list[StoredRun], list[StoredRun], list[str]]:
    """Remove what the policy gives up: (removed, all that were looked at, errors). `now_s`: seconds since 1970."""
    live = [run.folder for run in registry.runs()]
    runs = [look_at(path, live) for path in find_runs(root)]
    gone, errors = [], []
    for run in choose(runs, policy, now_s):
        try:
            remove_it(run)
            gone.append(run)
        except OSError as error:
            errors.append(f"{run.path} could not be removed: {error}")
    return gone, runs, errors
