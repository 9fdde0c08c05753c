"""The gateway's HTTP surface: /v1 goes to a replica, the rest is its own."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from target_service.gateway.access import make_access
from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerRules
from target_service.gateway.configurations import Configurations
from target_service.gateway.control import Isolation, Registration
from target_service.gateway.dispatch import Dispatcher
from target_service.gateway.events import EventLog
from target_service.gateway.members import Members
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.monitor import Monitor
from target_service.gateway.names import make_resolver
from target_service.gateway.outlier import OutlierDetector
from target_service.gateway.proxy import Proxy
from target_service.gateway.routing import STRATEGIES
from target_service.gateway.settings import GatewaySettings
from target_service.gateway.traffic import Traffic
from target_service.gateway.tries import Tries
from target_service.gateway.upstream import Upstream
from target_service.gateway.verification import Verifier
from target_service.observability.access import access_log
from target_service.observability.logs import Logs
from target_service.protocol.body import BODY_MAX_BYTES
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.paths import USER_PATHS
from target_service.protocol.web import REQUEST_ID, request_id, with_error_bodies

__all__ = ["DRAINING", "TRAFFIC", "make_app"]

TRAFFIC = web.AppKey("traffic", Traffic)
DRAINING = web.AppKey("draining", asyncio.Event)


class _Own:
    """The gateway's own endpoints."""

    def __init__(
        self,
        settings: GatewaySettings,
        events: EventLog,
        admission: Admission,
        members: Members,
        traffic: Traffic,
    ) -> None:
        self._members = members
        self._strategy = settings.strategy
        self._events = events
        self._admission = admission
        self._traffic = traffic
        self._incarnation = uuid.uuid4().hex
        self._started_s = time.monotonic()

    def add_to(self, app: web.Application) -> None:
        for path in ("health", "ready", "version"):
            app.router.add_get(f"/{path}", getattr(self, path))
        app.router.add_get("/gateway/state", self.state)
        app.router.add_get("/gateway/events", self.events)

    def _head(self) -> dict[str, Any]:
        return {
            "incarnation": self._incarnation,
            "pid": os.getpid(),
            "monotonic_s": time.monotonic(),
        }

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        reason = None if self._admission.admitted else "no replica is admitted"
        if request.app[DRAINING].is_set():
            reason = "draining"
        body = {"ready": reason is None, "incarnation": self._incarnation, "active": self._admission.active}
        return web.json_response({**body, **({"reason": reason} if reason else {})}, status=503 if reason else 200)

    async def version(self, _: web.Request) -> web.Response:
        body = {"name": "gateway", **self._head(), "started_monotonic_s": self._started_s}
        return web.json_response(body)

    async def state(self, _: web.Request) -> web.Response:
        now_s = time.monotonic()
        replicas = {
            name: {
                "admitted": standing.admitted,
                "ready": standing.ready,
                "missed_beats": standing.missed,
                "routed_total": standing.routed_total,
                "last_routed_s": standing.last_routed_s,
                "incarnation": standing.incarnation,
                "reason": standing.reason,
                "open_requests": standing.open_requests,
                "ejected_total": standing.ejected_total,
                "held_for_s": _left_s(standing.held_until_s, now_s),
                "lease_left_s": _left_s(self._members.lease_until_s(name), now_s),
                **self._members.body(name),
            }
            for name, standing in self._admission.standings.items()
        }
        head = {**self._head(), "strategy": self._strategy, "active": self._admission.active}
        return web.json_response({**head, "replicas": replicas, **self._traffic.body()})

    async def events(self, request: web.Request) -> web.Response:
        try:
            since = int(request.query.get("since", "0"))
        except ValueError:
            raise RequestRejectedError(400, "since must be an integer.", param="since") from None
        return web.json_response({**self._head(), "events": self._events.since(since)})


def _exposition(metrics: GatewayMetrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=metrics.text(), headers={"Content-Type": content_type})

    return handle


def _route_users(app: web.Application, proxy: Proxy) -> None:
    app.router.add_route("*", "/v1/{rest:.*}", proxy.handle)
    for path in USER_PATHS:
        app.router.add_post(path, proxy.handle)


def make_app(settings: GatewaySettings, logs: Logs | None = None) -> web.Application:
    """The application; raises ValueError when the golden file, or a file with keys or a token, is none."""
    logs = logs or Logs(settings.observability, "gateway")
    events = EventLog(time.monotonic)
    traffic = Traffic()
    access = make_access(settings, events)
    admission = _admission(settings, events)
    dispatcher = _dispatcher(settings, events, admission)
    verifier = _verifier(settings)
    configurations = Configurations(admission, events)
    monitor = Monitor(settings, admission, verifier, dispatcher.readmitted, configurations)
    members = Members(admission, dispatcher, monitor, events, partial(_breaker, settings, events))
    metrics = GatewayMetrics(admission, members.breakers, traffic, logs, access.logins)
    own = _Own(settings, events, admission, members, traffic)
    upstream = Upstream(settings)
    tries = Tries(settings, dispatcher, upstream, traffic, random.Random(settings.seed))
    proxy = Proxy(access, dispatcher, tries, traffic, metrics)
    app = web.Application(middlewares=[access_log(logs), with_error_bodies], client_max_size=BODY_MAX_BYTES)
    app[TRAFFIC] = traffic
    app[DRAINING] = asyncio.Event()
    _route_users(app, proxy)
    app.router.add_get("/metrics", _exposition(metrics))
    own.add_to(app)
    if access.keys.registrars is not None:
        Registration(access, access.keys.registrars, members, admission).add_to(app)
    if access.keys.admins is not None:
        Isolation(access, access.keys.admins, admission).add_to(app)

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers[REQUEST_ID] = request_id(request)
        if app[DRAINING].is_set():
            response.force_close()

    async def connections(_: web.Application) -> AsyncIterator[None]:
        resolver = make_resolver(settings, events)
        await upstream.start(resolver)
        await monitor.start(resolver)
        expiry = asyncio.create_task(members.expire_for_ever())
        yield
        expiry.cancel()
        await monitor.close()
        await upstream.close()
        if resolver is not None:
            await resolver.close()

    app.on_response_prepare.append(sign)
    app.cleanup_ctx.append(connections)
    return app


def _verifier(settings: GatewaySettings) -> Verifier:
    texts, streams = settings.fingerprint_texts, settings.golden_streams
    return Verifier(settings.golden, settings.golden_prompts, settings.golden_timeout_s, texts=texts, streams=streams)


def _left_s(until_s: float | None, now_s: float) -> float | None:
    return None if until_s is None else round(max(0.0, until_s - now_s), 3)


def _admission(settings: GatewaySettings, events: EventLog) -> Admission:
    # A backup is preferred to nobody, wherever it stands on the command line.
    ordered = sorted(settings.replicas, key=lambda replica: replica.backup)
    return Admission(
        [replica.name for replica in ordered],
        events,
        missed_max=settings.missed_beats,
        failback=settings.failback,
        active_standby=settings.strategy == "active-standby",
    )


def _dispatcher(settings: GatewaySettings, events: EventLog, admission: Admission) -> Dispatcher:
    made = ((each.name, _breaker(settings, events, each.name)) for each in settings.replicas)
    return Dispatcher(
        settings.replicas,
        admission,
        STRATEGIES[settings.strategy](),
        breakers={name: breaker for name, breaker in made if breaker is not None},
        outliers=OutlierDetector(settings.eject_failures) if settings.eject_failures else None,
    )


def _breaker(settings: GatewaySettings, events: EventLog, name: str) -> Breaker | None:
    rules = BreakerRules(settings.breaker_failures, settings.breaker_open_s, settings.breaker_probes)
    return Breaker(name, events, rules) if rules.failures_max else None
