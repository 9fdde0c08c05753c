"""Take one user request in, have it served, and count what became of it."""

from __future__ import annotations

import time

from aiohttp import web

from target_service.gateway.access import Access
from target_service.gateway.dispatch import Dispatcher
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.traffic import Traffic
from target_service.gateway.tries import Tries
from target_service.observability.access import facts_of
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.web import error_reply, is_probe, request_id

__all__ = ["Proxy"]


class Proxy:
    """Handles all of /v1, and what users ask beside it."""

    def __init__(
        self, access: Access, dispatcher: Dispatcher, tries: Tries, traffic: Traffic, metrics: GatewayMetrics
    ) -> None:
        self._access = access
        self._dispatcher = dispatcher
        self._tries = tries
        self._traffic = traffic
        self._metrics = metrics

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request; aiohttp cancels this, and so the upstream, when the client leaves."""
        begin_s = time.monotonic()
        probe = is_probe(request)
        self._traffic.received(request_id(request), probe=probe)
        self._metrics.began()
        outcome = "cancelled"
        try:
            outcome, response = await self._serve(request, probe=probe)
            return response
        except RequestRejectedError as rejected:
            outcome = "invalid"
            return error_reply(rejected)
        except Exception:
            outcome = "failed"
            raise
        finally:
            facts_of(request).outcome = outcome
            self._traffic.ended(outcome, probe=probe)
            self._metrics.ended(outcome, time.monotonic() - begin_s, probe=probe)

    async def _serve(self, request: web.Request, *, probe: bool) -> tuple[str, web.StreamResponse]:
        turned_away = self._access.user(request, probe=probe)
        if turned_away is not None:
            return str(turned_away.code), error_reply(turned_away)
        attempt = await self._tries.serve(request)
        if attempt is not None:
            return attempt.outcome, attempt.response
        retry_after_s = self._dispatcher.retry_after_s(time.monotonic())
        if retry_after_s is None:
            return _rejected(503, "No replica is admitted.", "no_replica", 1)
        return _rejected(503, "The breakers of all admitted replicas are open.", "breaker_open", retry_after_s)


def _rejected(status: int, message: str, code: str, retry_after_s: int) -> tuple[str, web.StreamResponse]:
    return code, error_reply(RequestRejectedError(status, message, code=code, retry_after_s=retry_after_s))
