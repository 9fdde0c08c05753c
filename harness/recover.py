"""Bring back what a dead run left behind: heal its faults first, then clear its stack, then forget it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.faults.inverse import carry_out
from harness.record.journal import undo_all
from harness.stack.owned import ProcessId, kill_owned, process_state
from harness.store.registry import LiveRun, Registry

__all__ = ["Recovered", "recover", "sweep"]


@dataclass(frozen=True)
class Recovered:
    """What was done about one dead run."""

    run_id: str
    folder: str
    killed: int  # processes
    errors: tuple[str, ...]  # inverses that failed; the run stays registered then


def recover(run: LiveRun, registry: Registry) -> Recovered:
    """Safe to call twice, and by two processes at once: every step is idempotent."""
    folder = Path(run.folder)
    errors = undo_all(folder / "undo.jsonl", carry_out) if folder.is_dir() else []
    killed = kill_owned(run.run_id)
    for copy in (folder / "stack").glob("*/model"):
        shutil.rmtree(copy, ignore_errors=True)
    if not errors:
        registry.remove(run.run_id)
    return Recovered(run.run_id, run.folder, killed, tuple(errors))


def sweep(registry: Registry) -> list[Recovered]:
    """Recover every registered run whose owner has died."""
    dead = [run for run in registry.runs() if process_state(ProcessId(run.owner_pid, run.owner_started)) in (None, "Z")]
    return [recover(run, registry) for run in dead]
