"""Start an engine's process. Imports little: it is the first thing that a server does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spawned", "how_it_ended", "spawn_engine"]

MODULE = "target_service.replica.engine_child"


@dataclass(frozen=True)
class Spawned:
    """A process that was started, and the server's end of the connection to it."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    pidfd: int  # readable when the process has ended; a signal through it can reach no other process


def spawn_engine(options: Sequence[str], module: str = MODULE) -> Spawned:
    """Start the process with the replica's own options. Only from the main thread.

    The kernel ends a child with PR_SET_PDEATHSIG when the *thread* that started it ends.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", module, str(theirs.fileno()), str(os.getpid()), *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    ours.setblocking(False)
    return Spawned(process, ours, os.pidfd_open(process.pid))


def how_it_ended(returncode: int) -> str:
    """A process's end in words."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"signal {-returncode} ({signal.Signals(-returncode).name})"
    except ValueError:
        return f"signal {-returncode}"
