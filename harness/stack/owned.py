"""Blast radius: only a process that carries this run's label can be signalled. Checked here and nowhere else; of
containers that opted in, `harness.stack.external.opted_in` says which process is theirs.

Every process of a run is started with the environment variable RELIABILITY_HARNESS_RUN set to the run's id, and its
children inherit it, so that orphans of dead parents are found as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import BlastRadiusError

__all__ = [
    "RUN_LABEL",
    "ProcessId",
    "children",
    "identify",
    "kill_owned",
    "owned_processes",
    "process_state",
    "send_signal",
    "signal_if",
]

RUN_LABEL = "RELIABILITY_HARNESS_RUN"
PASSES = 20
END_S = 0.2  # for one killed process to end, per pass
BEGIN_S = 0.2  # for a program that is being started to have its environment, looked for every LOOK_S
LOOK_S = 0.001


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid: `started` counts clock ticks since boot."""

    pid: int
    started: int


def identify(pid: int) -> ProcessId | None:
    """The identity of a running process; None when there is none (a zombie has ended and counts as none)."""
    stat = _stat(pid)
    return None if stat is None or stat[0] == "Z" else ProcessId(pid, int(stat[19]))


def children(pid: int) -> list[int]:
    """Processes that a process has started and that still have it as their parent; zombies are left out."""
    found = []
    for entry in Path("/proc").iterdir():
        stat = _stat(int(entry.name)) if entry.name.isdigit() else None
        if stat is not None and stat[0] != "Z" and int(stat[1]) == pid:
            found.append(int(entry.name))
    return sorted(found)


def process_state(process: ProcessId) -> str | None:
    """The state letter of /proc (R, S, D, T, Z ...); None when that very process has gone."""
    stat = _stat(process.pid)
    return stat[0] if stat is not None and int(stat[19]) == process.started else None


def send_signal(process: ProcessId, signum: signal.Signals, run_id: str) -> bool:
    """Signal a process of this run. False: it has gone. Raises BlastRadiusError when it is not this run's."""

    def of_this_run() -> bool:
        environ = _environ(process.pid)
        if environ and _label_in(environ) != run_id:
            raise BlastRadiusError(f"process {process.pid} does not belong to run {run_id}: it was not signalled")
        return bool(environ)  # none: it is ending, its memory has gone before it is a zombie

    return signal_if(process, signum, of_this_run)


def signal_if(process: ProcessId, signum: signal.Signals, still_there: Callable[[], bool]) -> bool:
    """Signal a process once `still_there` has looked at it, which raises when it must not be. False: it has gone.

    The pidfd is opened before the checks, so the pid cannot be reused between check and signal.
    """
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if process_state(process) in (None, "Z") or not still_there():
            return False
        signal.pidfd_send_signal(pidfd, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def owned_processes(run_id: str, also: str = "") -> Iterator[ProcessId]:
    """Every running process that carries the run's label; `also`: and NAME=VALUE in its environment as well."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        environ = _environ(int(entry.name))
        if _label_in(environ) == run_id and (not also or also.encode() in environ.split(b"\0")):
            process = identify(int(entry.name))
            if process is not None:
                yield process


def kill_owned(run_id: str, *, spare: int | None = None, also: str = "") -> int:
    """SIGKILL everything of a run but `spare` until a pass finds nothing; returns how many were killed.

    `also`: only what has NAME=VALUE in its environment as well.

    Several passes, since a supervisor may fork while it is being killed. One process that cannot be signalled never
    keeps the others alive.
    """
    killed = 0
    for _ in range(PASSES):
        found = [process for process in owned_processes(run_id, also) if process.pid not in (spare, os.getpid())]
        if not found:
            break
        for process in found:
            with contextlib.suppress(BlastRadiusError, PermissionError):
                killed += send_signal(process, signal.SIGKILL, run_id)
        _await_end(found)
    return killed


def _await_end(processes: Sequence[ProcessId]) -> None:
    """Let the kernel end what was killed: a loaded host needs a moment, and until then it would be found again."""
    for process in processes:
        _wait(process.pid, END_S)


def _wait(pid: int, at_most_s: float) -> None:
    """Until a process has ended, or so long."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([pidfd], [], [], at_most_s)
    finally:
        os.close(pidfd)


def _environ(pid: int) -> bytes:
    """The environment a process was started with; empty when it has gone, is ending, or is not ours to look at.

    While its program is being started it is none of these: whoever started it knows its pid already, and it is waited
    for until it has one.
    """
    path = Path(f"/proc/{pid}/environ")
    try:
        environ = path.read_bytes()
        if environ:
            return environ
        end_s = time.monotonic() + BEGIN_S
        while _is_being_started(pid) and time.monotonic() < end_s:
            _wait(pid, LOOK_S)
        return path.read_bytes()
    except OSError:
        return b""


def _is_being_started(pid: int) -> bool:
    """It has memory (vsize), but the kernel has not said yet where its environment ends (env_end; proc(5))."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z" and int(stat[20]) > 0 and int(stat[48]) == 0


def _label_in(environ: bytes) -> str | None:
    prefix = f"{RUN_LABEL}=".encode()
    return next((item[len(prefix) :].decode() for item in environ.split(b"\0") if item.startswith(prefix)), None)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; the command name before it may contain anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
