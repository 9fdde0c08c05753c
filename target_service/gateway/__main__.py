"""Run a gateway. Exit codes: 0 after SIGTERM or SIGINT, 2 usage or no golden prompts."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys

import uvloop
from aiohttp import web

from target_service.gateway.serving import drain, make_runner
from target_service.gateway.settings import GatewaySettings, parse_arguments
from target_service.observability.logs import Logs
from target_service.protocol.log import log_to_stderr
from target_service.protocol.web import refuse_odd_expectations

log = logging.getLogger("target_service.gateway")


async def _run(settings: GatewaySettings, logs: Logs) -> None:
    runner = make_runner(settings, logs)
    await runner.setup()
    refuse_odd_expectations(runner)
    await web.TCPSite(runner, settings.host, settings.port).start()
    # What is there now stays: without this, a collection that looks at all of it holds requests up.
    gc.collect()
    gc.freeze()
    log.info("listening on %s:%s", settings.host, settings.port)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()
    await drain(runner, settings.drain_s)
    await runner.cleanup()


def _allow_open_files(wanted: int) -> None:
    """Shells and init systems give 1024, which some hundred users take; up to a point more is there for the asking."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> int:
    """Run until a signal; return the exit code."""
    settings = parse_arguments()
    _allow_open_files(settings.open_files)
    log_to_stderr("gateway")
    logs = Logs(settings.observability, "gateway")
    logs.attach(logging.getLogger())
    try:
        # A faster loop: every request passes here twice.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, logs))
    except ValueError as error:
        log.error("%s", error)
        return 2
    finally:
        logs.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
