"""The engine's process: loads and proves the model, then runs the engine for a server at the other end of a socket.

`python -m target_service.replica.engine_child FD SERVER_PID REPLICA-OPTIONS…`, started by `spawn`. It ends with the
server, however that ends, unless it is told to be an orphan. Exit codes: 0 when it was told to stop, 78 a bad model.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading

from target_service.observability.logs import Logs
from target_service.protocol.log import log_to_stderr
from target_service.replica.engine_end import EngineEnd, Start
from target_service.replica.model_source import model_source
from target_service.replica.settings import parse_arguments
from target_service.replica.startup import start_serving

__all__ = ["STACKS_SIGNAL", "main"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h
STACKS_SIGNAL = signal.SIGUSR1
log = logging.getLogger("target_service.replica")


def die_with(server_pid: int) -> None:
    """Be killed by the kernel when the server ends; end now if it has ended already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:
        os._exit(0)


def main(argv: list[str], start: Start = start_serving) -> int:
    """Run until told to stop; return the exit code."""
    fd, server_pid, *options = argv
    settings = parse_arguments(options)
    if not settings.process.orphan:
        die_with(int(server_pid))
    # A supervisor signals the whole group. Whether requests are finished first is the server's decision.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.register(STACKS_SIGNAL, all_threads=True)
    log_to_stderr(f"engine[{settings.name}]")
    # Files of its own: two processes that rotate one would lose lines.
    logs = Logs(settings.observability, f"engine-{settings.name}", [settings.http.faults_token or ""])
    logs.attach(logging.getLogger())
    with socket.socket(fileno=int(fd)) as connection, model_source(settings) as placed:
        code = EngineEnd(connection, placed, start).run()
    if code is None:
        log.warning("the server has gone and the engine lives on (--orphan-engine on)")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        threading.Event().wait()
    return code or 0


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stderr.flush()
    # As in the server: interpreter shutdown would wait for torch's threads.
    os._exit(exit_code)
