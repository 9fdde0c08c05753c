"""/faults/…: start, list and clear faults, for who has the token. Never under /v1, which a gateway relays."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Callable

from aiohttp import web

from target_service.protocol.body import decoded_json, read_body
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.faults import Crash, Faults, parse_fault

__all__ = ["FaultEndpoints"]

log = logging.getLogger(__name__)

TOKEN = "X-Fault-Token"


class FaultEndpoints:
    """The handlers; `end` ends the process with an exit code."""

    def __init__(self, faults: Faults, token: str, end: Callable[[int], object] = os._exit) -> None:
        self._faults = faults
        self._token = token.encode()
        self._end = end
        self._crash: asyncio.TimerHandle | None = None

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/faults", self._list)
        app.router.add_post("/faults/{name}", self._start)
        app.router.add_delete("/faults/{name}", self._clear)

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get(TOKEN, "").encode("utf-8", "surrogateescape")
        # Compared in constant time, and never logged or repeated: it is a secret.
        if not hmac.compare_digest(given, self._token):
            raise RequestRejectedError(403, f"{TOKEN} is missing or wrong.", code="fault_token")

    async def _list(self, request: web.Request) -> web.Response:
        self._admit(request)
        return web.json_response({"active": self._faults.active()})

    async def _start(self, request: web.Request) -> web.Response:
        self._admit(request)
        name, body = request.match_info["name"], await read_body(request)
        fault = parse_fault(name, decoded_json(body) if body else {})
        log.warning("fault begins: %s", fault)
        try:
            self._faults.start(name, fault)
        except MemoryError:
            raise RequestRejectedError(400, f"There is no room for {fault}.", code="no_room") from None
        if isinstance(fault, Crash):
            self._cancel_crash()
            self._crash = asyncio.get_running_loop().call_later(fault.after_s, self._end, fault.exit_code)
        return web.json_response({"active": self._faults.active()})

    async def _clear(self, request: web.Request) -> web.Response:
        self._admit(request)
        name = request.match_info["name"]
        if not self._faults.clear(name):
            raise RequestRejectedError(404, f"{name!r} is not active.", code="not_active")
        if name == "crash":
            self._cancel_crash()
        log.warning("fault ends: %s", name)
        return web.json_response({"active": self._faults.active()})

    def _cancel_crash(self) -> None:
        if self._crash is not None:
            self._crash.cancel()
