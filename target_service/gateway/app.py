"""The gateway's HTTP surface: /v1 goes to a replica, the rest is its own."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from target_service.gateway.admission import Admission
from target_service.gateway.events import EventLog
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.monitor import Monitor
from target_service.gateway.proxy import Proxy
from target_service.gateway.settings import GatewaySettings
from target_service.gateway.verification import Verifier
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.web import REQUEST_ID, request_id, with_error_bodies

__all__ = ["make_app"]


class _Own:
    """The gateway's own endpoints."""

    def __init__(self, settings: GatewaySettings, events: EventLog, admission: Admission) -> None:
        self._urls = {replica.name: replica.url for replica in settings.replicas}
        self._events = events
        self._admission = admission
        self._incarnation = uuid.uuid4().hex
        self._started_s = time.monotonic()
        self.gauges = GatewayMetrics(admission)
        self.proxy = Proxy(settings, admission, self.gauges)

    def _head(self) -> dict[str, Any]:
        return {
            "incarnation": self._incarnation,
            "pid": os.getpid(),
            "monotonic_s": time.monotonic(),
        }

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(self, _: web.Request) -> web.Response:
        ready = self._admission.active is not None
        body = {"ready": ready, "incarnation": self._incarnation, "active": self._admission.active}
        reason = {} if ready else {"reason": "no replica is admitted"}
        return web.json_response({**body, **reason}, status=200 if ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self.gauges.text(), headers={"Content-Type": content_type})

    async def version(self, _: web.Request) -> web.Response:
        body = {"name": "gateway", **self._head(), "started_monotonic_s": self._started_s}
        return web.json_response(body)

    async def state(self, _: web.Request) -> web.Response:
        replicas = {
            name: {
                "url": self._urls[name],
                "admitted": standing.admitted,
                "ready": standing.ready,
                "missed_beats": standing.missed,
                "routed_total": standing.routed_total,
                "last_routed_s": standing.last_routed_s,
                "incarnation": standing.incarnation,
                "reason": standing.reason,
            }
            for name, standing in self._admission.standings.items()
        }
        body = {**self._head(), "active": self._admission.active, "replicas": replicas}
        return web.json_response({**body, **self.proxy.traffic.body()})

    async def events(self, request: web.Request) -> web.Response:
        try:
            since = int(request.query.get("since", "0"))
        except ValueError:
            raise RequestRejectedError(400, "since must be an integer.", param="since") from None
        return web.json_response({**self._head(), "events": self._events.since(since)})


def make_app(settings: GatewaySettings) -> web.Application:
    """The application; raises ValueError when the golden file is none."""
    events = EventLog(time.monotonic)
    admission = Admission(
        [replica.name for replica in settings.replicas],
        events,
        missed_max=settings.missed_beats,
        failback=settings.failback,
    )
    verifier = Verifier(settings.golden, settings.golden_prompts, settings.golden_timeout_s)
    monitor = Monitor(settings, admission, verifier)
    own = _Own(settings, events, admission)
    app = web.Application(middlewares=[with_error_bodies], client_max_size=4 * 2**20)
    app.router.add_route("*", "/v1/{rest:.*}", own.proxy.handle)
    for path in ("health", "ready", "metrics", "version"):
        app.router.add_get(f"/{path}", getattr(own, path))
    app.router.add_get("/gateway/state", own.state)
    app.router.add_get("/gateway/events", own.events)

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers[REQUEST_ID] = request_id(request)

    async def upstream(_: web.Application) -> AsyncIterator[None]:
        await own.proxy.start()
        await monitor.start()
        yield
        await monitor.close()
        await own.proxy.close()

    app.on_response_prepare.append(sign)
    app.cleanup_ctx.append(upstream)
    return app
