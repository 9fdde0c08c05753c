"""Take one user request in, have it served, and count what became of it."""

from __future__ import annotations

import math
import time

from aiohttp import web

from target_service.gateway.dispatch import Dispatcher
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.settings import GatewaySettings
from target_service.gateway.traffic import Traffic
from target_service.gateway.tries import Tries
from target_service.gateway.upstream import outgoing_of
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.rate_limit import TokenBucket
from target_service.protocol.web import error_reply, is_probe, request_id

__all__ = ["Proxy"]


class Proxy:
    """Handles all of /v1, and what users ask beside it."""

    def __init__(
        self, settings: GatewaySettings, dispatcher: Dispatcher, tries: Tries, traffic: Traffic, metrics: GatewayMetrics
    ) -> None:
        self._timeout_s = settings.request_timeout_s
        rate_per_s = settings.rate_limit_per_s
        self._limit = TokenBucket(rate_per_s, settings.rate_limit_burst) if rate_per_s else None
        self._dispatcher = dispatcher
        self._tries = tries
        self._traffic = traffic
        self._metrics = metrics

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request; aiohttp cancels this, and so the upstream, when the client leaves."""
        begin_s = time.monotonic()
        probe = is_probe(request)
        self._traffic.received(request_id(request), probe=probe)
        outcome = "cancelled"
        try:
            outcome, response = await self._serve(request, begin_s, probe=probe)
            return response
        finally:
            self._traffic.ended(outcome, probe=probe)
            self._metrics.ended(outcome, time.monotonic() - begin_s, probe=probe)

    async def _serve(self, request: web.Request, begin_s: float, *, probe: bool) -> tuple[str, web.StreamResponse]:
        # Whoever checks from outside must be able to look while users are turned away.
        if self._limit is not None and not probe:
            wait_s = self._limit.take(begin_s)
            if wait_s:
                return _rejected(429, "Too many requests.", "rate_limited", math.ceil(wait_s))
        attempt = await self._tries.serve(request, await outgoing_of(request, self._timeout_s))
        if attempt is not None:
            return attempt.outcome, attempt.response
        retry_after_s = self._dispatcher.retry_after_s(time.monotonic())
        if retry_after_s is None:
            return _rejected(503, "No replica is admitted.", "no_replica", 1)
        return _rejected(503, "The breakers of all admitted replicas are open.", "breaker_open", retry_after_s)


def _rejected(status: int, message: str, code: str, retry_after_s: int) -> tuple[str, web.StreamResponse]:
    return code, error_reply(RequestRejectedError(status, message, code=code, retry_after_s=retry_after_s))
