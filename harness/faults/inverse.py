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

from harness.faults.exec import undo_command
from harness.model.errors import BlastRadiusError, HarnessError
from harness.record.clock import SystemClock
from harness.record.journal import Inverse
from harness.stack.containers.undo import end_helper, lift_read_limit, restore_clock, update_again
from harness.stack.external.opted_in import continue_in_container
from harness.stack.links import Toxic
from harness.stack.owned import ProcessId, process_state, send_signal
from harness.stack.reference.fault_api import FaultApi
from harness.stack.service import ReplicaSilent
from harness.stack.traffic import end_strangers

__all__ = ["INVERSES", "carry_out", "refill_folder", "sha256_of"]


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
    path, snapshot = _inside(args["path"], args["root"], "it was not restored"), Path(args["snapshot"])
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
    """Tell the replica to end it, and what `also` came with it.

    One that cannot be told is killed: whatever replaces it is born without the fault.
    """
    victim = ProcessId(args["pid"], args["started"])
    if process_state(victim) in (None, "Z", "X"):
        return
    try:
        api = FaultApi(args["port"], Path(args["token_file"]), SystemClock())
        for fault in (args["fault"], *args.get("also", ())):
            api.end(fault)
    except ReplicaSilent:
        send_signal(victim, signal.SIGKILL, args["run_id"])


def _mend_packets(args: Mapping[str, Any]) -> None:
    """Take rules off a container's network."""
    # Here, since the engine's client takes 0.3 s to import, which most runs' guards can do without.
    from harness.stack.containers.network import mend_packets

    mend_packets(args)


def _reconnect(args: Mapping[str, Any]) -> None:
    """Put containers back on their network."""
    from harness.stack.containers.network import reconnect

    reconnect(args)


def _start_containers(args: Mapping[str, Any]) -> None:
    """Start containers that were taken away."""
    from harness.stack.containers.nodes import start_containers

    start_containers(args)


def _continue_remotely(args: Mapping[str, Any]) -> None:
    """Continue a process on the host of another engine."""
    from harness.stack.remote.stack import continue_remotely

    continue_remotely(args)


def _restore_mode(args: Mapping[str, Any]) -> None:
    """Give a file its permissions back."""
    path = _inside(args["path"], args["root"], "its mode was not restored")
    if path.exists():
        path.chmod(args["mode"])


def refill_folder(args: Mapping[str, Any]) -> None:
    """Move what was moved aside back into its folder; what lies there already is left alone."""
    folder = _inside(args["folder"], args["root"], "it was not refilled")
    aside = _inside(args["aside"], args["root"], "nothing was moved from there")
    if not folder.exists() or not aside.exists():
        return  # the run's copy of the model was removed with its stack, or this was done before
    for path in sorted(aside.iterdir()):
        if not (folder / path.name).exists():
            path.rename(folder / path.name)


def _inside(path: str | Path, root: str | Path, otherwise: str) -> Path:
    """A path of the run's own. Raises BlastRadiusError."""
    if not Path(path).resolve().is_relative_to(Path(root).resolve()):
        raise BlastRadiusError(f"{path} lies outside the run's folder {root}: {otherwise}")
    return Path(path)


def _start_as_before(args: Mapping[str, Any]) -> None:
    """Empty the file of start options, if it is still there."""
    path = _inside(args["path"], args["root"], "it was not emptied")
    if path.exists():
        os.truncate(path, 0)


def _end_strangers(args: Mapping[str, Any]) -> None:
    """Kill the clients of a traffic fault; the kernel closes their connections."""
    end_strangers(args["run_id"], args["name"])


INVERSES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "clock.restore": restore_clock,
    "command.undo": undo_command,
    "container.continue": continue_in_container,
    "container.end_helper": end_helper,
    "container.mend_packets": _mend_packets,
    "container.read_limit": lift_read_limit,
    "container.reconnect": _reconnect,
    "container.start": _start_containers,
    "container.update": update_again,
    "file.mode": _restore_mode,
    "file.restore": _restore_file,
    "folder.refill": refill_folder,
    "link.mend": _mend_link,
    "nothing": _nothing,
    "process.continue": _continue_process,
    "remote.continue": _continue_remotely,
    "service.end": _end_service_fault,
    "service.start_as_before": _start_as_before,
    "traffic.end": _end_strangers,
}
