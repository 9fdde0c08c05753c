"""Runs that are alive on this machine, wherever their folders are: what a dead run left behind is found here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["LiveRun", "Registry", "registry_folder"]


@dataclass(frozen=True)
class LiveRun:
    """A run that has begun and has not been cleaned up."""

    run_id: str
    folder: str
    owner_pid: int
    owner_started: int  # clock ticks since boot: tells the owner from a later process with its pid


def registry_folder(environ: Mapping[str, str]) -> Path:
    """Per user and machine: $XDG_STATE_HOME or ~/.local/state."""
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    return Path(base) / "reliability-harness" / "live"


class Registry:
    """One small file per live run, written before anything is started and removed when everything is clean."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, run: LiveRun) -> None:
        """Register a run, on the disk before this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{run.run_id}.part"
        with part.open("w") as file:
            json.dump(asdict(run), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path(run.run_id))

    def remove(self, run_id: str) -> None:
        """Forget a run that is clean."""
        self._path(run_id).unlink(missing_ok=True)

    def runs(self) -> list[LiveRun]:
        """All registered runs; a file that cannot be read is left alone."""
        found = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                found.append(LiveRun(**json.loads(path.read_text())))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"
