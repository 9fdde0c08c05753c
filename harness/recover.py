"""Bring back what a dead run left behind: heal its faults first, then clear its stack, then forget it."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.faults.inverse import carry_out
from harness.faults.weights import SNAPSHOTS
from harness.model.errors import StackError
from harness.record.clock import Clock, SystemClock
from harness.record.journal import undo_all
from harness.stack.containers.address import at_engine, engine_of
from harness.stack.containers.plugin import client_mark
from harness.stack.containers.project import OVERRIDE
from harness.stack.external.opted_in import HELPERS
from harness.stack.owned import ProcessId, kill_owned, owned_processes, process_state
from harness.store.registry import LiveRun, Registry

if TYPE_CHECKING:
    from harness.stack.containers.labelled import Containers

__all__ = ["Recovered", "recover", "sweep"]

LOOKS, LOOK_EVERY_S = 20, 0.3  # at an engine whose run is being cleared away
OF_THE_STACK = ("model-*", "*/model", "private", "private-gateway")  # copies of the model, local and fake; secrets


@dataclass(frozen=True)
class Recovered:
    """What was done about one dead run."""

    run_id: str
    folder: str
    killed: int  # processes
    errors: tuple[str, ...]  # inverses that failed; the run stays registered then
    again: bool = False  # whether trying later may help: no engine answered that could have removed its containers


def recover(run: LiveRun, registry: Registry, clock: Clock | None = None) -> Recovered:
    """Safe to call twice, and by two processes at once: every step is idempotent."""
    with at_engine(engine_of(Path(run.folder) / "stack")):
        return _recover(run, registry, clock)


def _recover(run: LiveRun, registry: Registry, clock: Clock | None) -> Recovered:
    folder = Path(run.folder)
    errors = undo_all(folder / "undo.jsonl", carry_out) if folder.is_dir() else []
    killed = kill_owned(run.run_id, also=client_mark())  # first: it would make what is being removed
    left, again = _clear_containers(folder, run.run_id, clock or SystemClock())
    errors = [*errors, *left]
    killed += kill_owned(run.run_id)  # after its containers: the engine restarts what is merely killed
    leftovers = [copy for pattern in OF_THE_STACK for copy in (folder / "stack").glob(pattern)]
    leftovers += [found for base in {tempfile.gettempdir(), "/tmp"} for found in _socket_folders(base, run.run_id)]  # noqa: S108
    if not errors:
        leftovers.append(folder / SNAPSHOTS)
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
    if not errors and not any(owned_processes(run.run_id)):
        registry.remove(run.run_id)
    return Recovered(run.run_id, run.folder, killed, tuple(errors), again)


def _clear_containers(folder: Path, run_id: str, clock: Clock) -> tuple[list[str], bool]:
    """Remove what a run on the container stack left; returns what could not be, in words, and whether later may help.

    Until two looks in a row find nothing: what was ordered before the client died may be made after the first look.
    """
    if not any((folder / "stack" / name).exists() for name in (OVERRIDE, HELPERS)):
        return [], False
    # Here, since the client takes 0.3 s to import, which most runs' guards can do without.
    from harness.stack.containers.engine import EngineAway
    from harness.stack.containers.labelled import Containers

    try:
        with Containers(run_id) as containers:
            return _remove_until_quiet(containers, clock), False
    except EngineAway as error:
        return [str(error)], True
    except StackError as error:
        return [str(error)], False


def _remove_until_quiet(containers: Containers, clock: Clock) -> list[str]:
    failed: list[str] = []
    quiet = 0
    for _ in range(LOOKS):
        failed = containers.remove()
        quiet = 0 if containers.anything() else quiet + 1
        if quiet == 2:
            return []
        clock.sleep(LOOK_EVERY_S)
    return failed or [f"{', '.join(containers.anything())}: still there"]


def _socket_folders(base: str, run_id: str) -> list[Path]:
    """Where the socket lay (`harness.stack.supervision.supervisord`); only what is ours: the folder is shared."""
    found = Path(base).glob(f"harness-{glob.escape(run_id[:24])}-*")
    return [path for path in found if path.lstat().st_uid == os.getuid() and _is_abandoned(path)]


def _is_abandoned(socket_folder: Path) -> bool:
    """Whether nobody listens there any more; another run's id may begin with the same 24 letters."""
    files = [path for path in socket_folder.glob("*") if path.is_socket()]
    return bool(files) and not any(_answers(path) for path in files)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def sweep(registry: Registry) -> list[Recovered]:
    """Recover every registered run whose owner has died."""
    dead = [run for run in registry.runs() if process_state(ProcessId(run.owner_pid, run.owner_started)) in (None, "Z")]
    return [recover(run, registry) for run in dead]
