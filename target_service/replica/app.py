"""The replica's HTTP surface."""

from __future__ import annotations

import os

from aiohttp import web

from target_service.observability.access import access_log
from target_service.observability.logs import Logs
from target_service.observability.settings import ObservabilitySettings
from target_service.protocol.body import BODY_MAX_BYTES
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.web import (
    INCARNATION,
    REQUEST_ID,
    SERVED_BY,
    error_reply,
    request_id,
    with_error_bodies,
)
from target_service.replica.cache import AnswerCache
from target_service.replica.chat import ChatHandler
from target_service.replica.fault_endpoints import EngineControl, FaultEndpoints
from target_service.replica.faults import Faults
from target_service.replica.fingerprint_endpoint import FingerprintEndpoint
from target_service.replica.metrics import ReplicaMetrics
from target_service.replica.settings import HttpSettings
from target_service.replica.state import ReplicaState
from target_service.services.endpoints import add_endpoints

__all__ = ["CHAT", "make_app"]

CHAT = web.AppKey("chat", ChatHandler)


class _Facts:
    """The endpoints that only tell."""

    def __init__(self, state: ReplicaState, metrics: ReplicaMetrics) -> None:
        self._state = state
        self._metrics = metrics

    async def health(self, _: web.Request) -> web.Response:
        problem = self._state.engine_problem
        if problem is not None:
            return web.json_response({"status": "stalled", "reason": problem}, status=503)
        return web.json_response({"status": "alive"})

    async def ready(self, _: web.Request) -> web.Response:
        body = self._state.ready_body()
        return web.json_response(body, status=200 if body["ready"] else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self._metrics.text(), headers={"Content-Type": content_type})

    async def version(self, _: web.Request) -> web.Response:
        state = self._state
        versions = state.serving.loaded.versions if state.serving else {}
        body = {
            "name": state.name,
            "pid": os.getpid(),
            "engine_pid": state.engine_pid,
            "incarnation": state.incarnation,
            "started_monotonic_s": state.started_monotonic_s,
            "model": state.model,
            "version": state.version,
            "service": state.service,
            "weights_sha256": state.weights_sha256,
            "torch": versions.get("torch"),
            "transformers": versions.get("transformers"),
        }
        return web.json_response(body)

    async def models(self, _: web.Request) -> web.Response:
        model = {"id": self._state.model, "object": "model", "created": 0, "owned_by": "local"}
        return web.json_response({"object": "list", "data": [model]})

    async def config(self, _: web.Request) -> web.Response:
        configuration = self._state.configuration
        return web.json_response({"name": self._state.name, **(configuration.body() if configuration else {})})

    async def counters(self, _: web.Request) -> web.Response:
        body = {"incarnation": self._state.incarnation, **self._state.counters.body()}
        return web.json_response(body)

    async def weights(self, _: web.Request) -> web.Response:
        serving = self._state.serving
        if serving is None:
            return error_reply(RequestRejectedError(503, "No model is loaded.", retry_after_s=1))
        digests = await serving.loaded.digests()
        return web.json_response({**digests, "incarnation": self._state.incarnation})


def make_app(
    state: ReplicaState,
    settings: HttpSettings,
    faults: Faults,
    logs: Logs | None = None,
    control: EngineControl | None = None,
) -> web.Application:
    """The application; `state` may still be loading and changes under it. `control`: of the engine's own process."""
    cache = AnswerCache(settings.cache_size, settings.cache_ttl_s, stale=lambda: faults.cache_is_stale)
    state.claims_ready = lambda: faults.claims_ready
    logs = logs or Logs(ObservabilitySettings(), state.name)
    metrics = ReplicaMetrics(state, cache, logs)
    facts, chat = _Facts(state, metrics), ChatHandler(state, metrics, settings, cache, faults)
    app = web.Application(middlewares=[access_log(logs, state.name), with_error_bodies], client_max_size=BODY_MAX_BYTES)
    app.router.add_post("/v1/chat/completions", chat.handle)
    app.router.add_get("/v1/models", facts.models)
    app.router.add_post("/fingerprint", FingerprintEndpoint(state).handle)
    for path in ("health", "ready", "metrics", "version", "counters", "weights", "config"):
        app.router.add_get(f"/{path}", getattr(facts, path))
    app[CHAT] = chat
    if state.folder is not None:
        add_endpoints(app, state.service, state.folder, chat)
    if settings.faults_token:
        FaultEndpoints(faults, settings.faults_token, control=control, caches=settings.cache_size > 0).add_to(app)

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers[SERVED_BY] = state.name
        response.headers[REQUEST_ID] = request_id(request)
        response.headers[INCARNATION] = state.incarnation

    app.on_response_prepare.append(sign)
    return app
