"""Run a replica. Exit codes: 0 after SIGTERM or SIGINT, 2 usage, 78 a bad model; by default 70 when the engine hung or
died, and 75 when too much memory was used for too long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from target_service.protocol.log import log_to_stderr
from target_service.replica.settings import parse_arguments
from target_service.replica.spawn import spawn_engine


def main() -> int:
    """Run until a signal or the engine's end; return the exit code."""
    options = sys.argv[1:]
    settings = parse_arguments(options)
    if settings.hub_url is None:
        # A link was followed once: an engine that is started again must not find another release behind it.
        options = [*options, "--model", str(settings.model)]
    # Before everything that is slow to import: the engine's own imports are what a start waits for.
    spawned = spawn_engine(options) if settings.process.child else None

    from target_service.observability.logs import Logs
    from target_service.replica.child_host import ChildHost
    from target_service.replica.model_source import model_source
    from target_service.replica.server import serve

    log_to_stderr(f"replica[{settings.name}]")
    logs = Logs(settings.observability, f"replica-{settings.name}", [settings.http.faults_token or ""])
    logs.attach(logging.getLogger())
    host = None if spawned is None else ChildHost(settings, options, spawned)
    try:
        if host is not None:
            return asyncio.run(serve(settings, host, logs))
        with model_source(settings) as placed:
            return asyncio.run(serve(placed, None, logs))
    finally:
        logs.close()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Loading cannot be interrupted; interpreter shutdown would wait for its C++ threads.
    os._exit(code)
