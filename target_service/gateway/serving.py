"""The life of a gateway's listener: how long connections stay open, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import web

from target_service.gateway.app import DRAINING, TRAFFIC, make_app
from target_service.gateway.settings import GatewaySettings
from target_service.observability.logs import Logs

__all__ = ["drain", "make_runner"]

log = logging.getLogger(__name__)

# For handlers that a drain left over: they are cancelled, and end at once.
LAST_S = 0.05


def make_runner(settings: GatewaySettings, logs: Logs | None = None) -> web.AppRunner:
    """Serves the application; raises ValueError when the golden file is none."""
    return web.AppRunner(
        make_app(settings, logs),
        access_log=None,
        # A client that leaves must not keep a replica busy.
        handler_cancellation=True,
        keepalive_timeout=settings.keepalive_s,
        shutdown_timeout=LAST_S,
    )


async def drain(runner: web.AppRunner, drain_s: float) -> None:
    """Take no new connections, close kept ones with their next answer; wait `drain_s` at most for open requests."""
    for site in runner.sites:
        await site.stop()
    runner.app[DRAINING].set()
    traffic = runner.app[TRAFFIC]
    give_up_s = time.monotonic() + drain_s
    log.info("draining %s open requests", traffic.open)
    # Polled: a request ends in many places, and a drain happens once.
    while traffic.open and time.monotonic() < give_up_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    log.info("ends with %s open requests", traffic.open)
