"""Signals to the target's server processes on this host, and what the operating system says of them."""

from __future__ import annotations

import signal as signals
from pathlib import Path

from harness.model.process_faults import Victim
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.owned import ProcessId, children, identify, process_state, send_signal

__all__ = ["TargetSignals", "related", "server_below"]

SIGNALS = {name: signals.Signals[name] for name in ("SIGKILL", "SIGTERM", "SIGSTOP", "SIGCONT")}


class TargetSignals:
    """For the processes of one run; a container's are this host's processes, too."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def send(self, process: TargetProcess, name: str) -> bool:
        """False when it has gone. Raises BlastRadiusError when it is not this run's."""
        return send_signal(_identity(process), SIGNALS[name], self._run_id)

    def state(self, process: TargetProcess) -> str:
        """`running`, `stopped` (by a signal), or `gone`."""
        letter = process_state(_identity(process))
        if letter in (None, "Z", "X"):
            return "gone"
        return "stopped" if letter in ("T", "t") else "running"

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        """How another process could take a pause back."""
        identity = {"pid": process.pid, "started": process.started, "run_id": self._run_id}
        return Inverse("process.continue", identity)


def related(process: TargetProcess, of: Victim, first_pid: int = 0) -> TargetProcess | None:
    """A server process itself, its oldest child, which computes, or the first process of its container."""
    candidates = {"server": [process.pid], "engine": children(process.pid), "init": [first_pid] if first_pid else []}
    found = [one for pid in candidates[of] if (one := identify(pid)) is not None]
    oldest = min(found, key=lambda one: one.started, default=None)
    return None if oldest is None else TargetProcess(process.replica, oldest.pid, oldest.started)


def _identity(process: TargetProcess) -> ProcessId:
    return ProcessId(process.pid, process.started)


def server_below(first_pid: int) -> int | None:
    """A container's server itself: its first process is `docker-init`, which passes signals and exit codes on."""
    try:
        children = Path(f"/proc/{first_pid}/task/{first_pid}/children").read_text().split()
        name = Path(f"/proc/{first_pid}/comm").read_text().strip()
    except OSError:
        return None
    if name != "docker-init":
        return first_pid
    return int(children[0]) if children else None
