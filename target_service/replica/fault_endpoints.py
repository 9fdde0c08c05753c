"""/faults/…: start, list and clear faults, for who has the token. Never under /v1, which a gateway relays."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import signal
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from target_service.protocol.body import decoded_json, read_body
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.fault_kinds import Crash, Fault, KillEngine, SlowLoad, StaleCache, parse_fault
from target_service.replica.faults import Faults

__all__ = ["EngineControl", "FaultEndpoints"]

log = logging.getLogger(__name__)

TOKEN = "X-Fault-Token"


class EngineControl(Protocol):
    """Power over the engine's own process."""

    def signal(self, number: int) -> bool:
        """Send it a signal; False: there is no process now."""


class FaultEndpoints:
    """The handlers; `end` ends this process with an exit code, `control` is None without a process of the engine's."""

    def __init__(
        self,
        faults: Faults,
        token: str,
        end: Callable[[int], object] = os._exit,
        *,
        control: EngineControl | None = None,
        caches: bool = False,
    ) -> None:
        self._faults = faults
        self._token = token.encode()
        self._end = end
        self._control = control
        self._caches = caches
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
        self._refuse_the_impossible(name, fault)
        log.warning("fault begins: %s", fault)
        try:
            self._begin(name, fault)
        except MemoryError:
            raise RequestRejectedError(400, f"There is no room for {fault}.", code="no_room") from None
        return web.json_response({"active": self._faults.active()})

    def _refuse_the_impossible(self, name: str, fault: Fault) -> None:
        of_engine = isinstance(fault, KillEngine | SlowLoad) or (isinstance(fault, Crash) and fault.where == "engine")
        if of_engine and self._control is None:
            message = f"{name}: the engine has no process of its own (--engine-process same)."
            raise RequestRejectedError(409, message, code="no_engine_process")
        if isinstance(fault, StaleCache) and not self._caches:
            raise RequestRejectedError(409, f"{name}: no answers are kept (--cache-size 0).", code="no_cache")

    def _begin(self, name: str, fault: Fault) -> None:
        if isinstance(fault, KillEngine):
            self._signal(fault.signal)
            if fault.signal != signal.SIGSTOP:
                return  # it is over already
        self._faults.start(name, fault)
        if isinstance(fault, Crash):
            self._cancel_crash()
            if fault.where == "server":
                self._crash = asyncio.get_running_loop().call_later(fault.after_s, self._end, fault.exit_code)

    def _signal(self, number: int) -> None:
        if self._control is None or not self._control.signal(number):
            raise RequestRejectedError(409, "The engine's process has ended.", code="no_engine_process")

    async def _clear(self, request: web.Request) -> web.Response:
        self._admit(request)
        name = request.match_info["name"]
        if not self._faults.clear(name):
            raise RequestRejectedError(404, f"{name!r} is not active.", code="not_active")
        if name == "crash":
            self._cancel_crash()
        if name == "kill_engine":
            self._signal(signal.SIGCONT)
        log.warning("fault ends: %s", name)
        return web.json_response({"active": self._faults.active()})

    def _cancel_crash(self) -> None:
        if self._crash is not None:
            self._crash.cancel()
