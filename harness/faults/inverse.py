"""Carrying out inverses, by whoever finds them: the run itself, its guard, or the next run's sweep.

An inverse may be carried out twice, and on a target that has gone. It acts only on what its run owns.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.model.errors import BlastRadiusError, HarnessError
from harness.record.clock import SystemClock
from harness.record.journal import Inverse
from harness.stack.container_undo import end_helper, lift_read_limit, restore_clock, update_again
from harness.stack.fault_api import FaultApi
from harness.stack.links import Toxic
from harness.stack.owned import ProcessId, process_state, send_signal
from harness.stack.service import ReplicaSilent

__all__ = ["INVERSES", "carry_out", "sha256_of"]


def carry_out(inverse: Inverse) -> None:
    """Take a fault back and verify it. Raises HarnessError when that failed."""
    function = INVERSES.get(inverse.name)
    if function is None:
        raise HarnessError(f"the journal names an unknown inverse '{inverse.name}': it was written by another version")
    function(inverse.args)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing(args: Mapping[str, Any]) -> None:
    """For faults that are over at once: there is nothing left to take back."""


def _continue_process(args: Mapping[str, Any]) -> None:
    send_signal(ProcessId(args["pid"], args["started"]), signal.SIGCONT, args["run_id"])


def _restore_file(args: Mapping[str, Any]) -> None:
    """Write the snapshot's bytes into the very file, since a running process may have it mapped."""
    path, snapshot, root = Path(args["path"]), Path(args["snapshot"]), Path(args["root"])
    if not path.resolve().is_relative_to(root.resolve()):
        raise BlastRadiusError(f"{path} lies outside the run's folder {root}: it was not restored")
    if not path.parent.exists():
        return  # the run's copy of the model was removed with its stack
    if path.exists() and sha256_of(path) == args["sha256"]:
        return
    with snapshot.open("rb") as source, os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as target:
        shutil.copyfileobj(source, target)
        target.truncate()
        target.flush()
        os.fsync(target.fileno())
    if sha256_of(path) != args["sha256"]:
        raise HarnessError(f"{path} differs from its snapshot after it was restored")


def _mend_link(args: Mapping[str, Any]) -> None:
    """Take a toxic off a link of the run's own proxy; when that proxy has ended, its toxics have ended with it."""
    # Here, since the client takes 0.2 s to import, which most runs' guards can do without.
    from harness.stack.toxiproxy_api import ToxiproxyApi, ToxiproxyGone

    api = ToxiproxyApi(args["host"], args["port"], args["instance"], args["listen"])
    try:
        api.check()
        api.remove(args["link"], Toxic(args["toxic"], args["type"]))
    except ToxiproxyGone:
        return


def _end_service_fault(args: Mapping[str, Any]) -> None:
    """Tell the replica to end it. One that cannot be told is killed: whatever replaces it is born without the fault."""
    victim = ProcessId(args["pid"], args["started"])
    if process_state(victim) in (None, "Z", "X"):
        return
    try:
        FaultApi(args["port"], Path(args["token_file"]), SystemClock()).end(args["fault"])
    except ReplicaSilent:
        send_signal(victim, signal.SIGKILL, args["run_id"])


def _start_as_before(args: Mapping[str, Any]) -> None:
    """Empty the file of start options, if it is still there."""
    path, root = Path(args["path"]), Path(args["root"])
    if not path.resolve().is_relative_to(root.resolve()):
        raise BlastRadiusError(f"{path} lies outside the run's folder {root}: it was not emptied")
    if path.exists():
        os.truncate(path, 0)


INVERSES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "clock.restore": restore_clock,
    "container.end_helper": end_helper,
    "container.read_limit": lift_read_limit,
    "container.update": update_again,
    "file.restore": _restore_file,
    "link.mend": _mend_link,
    "nothing": _nothing,
    "process.continue": _continue_process,
    "service.end": _end_service_fault,
    "service.start_as_before": _start_as_before,
}
