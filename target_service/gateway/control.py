"""What replicas and supervisors may tell a gateway: register, isolate, release. Each needs its token."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from yarl import URL

from target_service.gateway.access import Access
from target_service.gateway.admission import Admission
from target_service.gateway.members import Members
from target_service.gateway.settings import ReplicaAddress
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.secret import Secrets

__all__ = ["Isolation", "Registration"]

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LEASE_S_MIN, LEASE_S_MAX = 0.5, 300.0
HOLD_S_DEFAULT, HOLD_S_MAX = 60.0, 3600.0
WEIGHT_MAX = 1000
REASON_CHARS_MAX = 200


class Registration:
    """/gateway/replicas: a replica comes, stays by renewing its lease, and goes."""

    def __init__(self, access: Access, token: Secrets, members: Members, admission: Admission) -> None:
        self._access = access
        self._token = token
        self._members = members
        self._admission = admission

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/gateway/replicas", self._register)
        app.router.add_delete("/gateway/replicas/{name}", self._deregister)

    async def _register(self, request: web.Request) -> web.Response:
        self._access.demand(request, self._token)
        body = await _object(request, {"name", "url", "lease_s", "weight", "backup"})
        replica, lease_s = _address(body), _seconds(body, "lease_s", (LEASE_S_MIN, LEASE_S_MAX), None)
        new = self._members.register(replica, lease_s, time.monotonic())
        if new:
            log.info("%s has registered itself at %s", replica.name, replica.url)
        admitted = self._admission.standings[replica.name].admitted
        return web.json_response({"name": replica.name, "lease_s": lease_s, "new": new, "admitted": admitted})

    async def _deregister(self, request: web.Request) -> web.Response:
        self._access.demand(request, self._token)
        name = request.match_info["name"]
        self._members.deregister(name)
        log.info("%s has deregistered itself", name)
        return web.json_response({"name": name})


class Isolation:
    """/gateway/replicas/NAME/isolate and /release: a supervisor cuts traffic off before it restarts."""

    def __init__(self, access: Access, token: Secrets, admission: Admission) -> None:
        self._access = access
        self._token = token
        self._admission = admission

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/gateway/replicas/{name}/isolate", self._isolate)
        app.router.add_post("/gateway/replicas/{name}/release", self._release)

    async def _isolate(self, request: web.Request) -> web.Response:
        name = self._known(request)
        body = await _object(request, {"reason", "for_s", "even_last"})
        for_s = _seconds(body, "for_s", (0.1, HOLD_S_MAX), HOLD_S_DEFAULT)
        reason, even_last = body.get("reason", "asked for"), body.get("even_last", False)
        if not isinstance(reason, str) or len(reason) > REASON_CHARS_MAX:
            raise _bad("reason", f"must be text of at most {REASON_CHARS_MAX} characters")
        if not isinstance(even_last, bool):
            raise _bad("even_last", "must be true or false")
        if self._admission.admitted == [name] and not even_last:
            raise RequestRejectedError(
                409, f"{name!r} is the last admitted replica; even_last isolates it all the same.", code="last_replica"
            )
        was = self._admission.hold(name, reason, time.monotonic(), for_s)
        log.warning("%s is isolated: %s", name, reason)
        standing = self._admission.standings[name]
        return web.json_response(
            {"name": name, "was_admitted": was, "for_s": for_s, "open_requests": standing.open_requests}
        )

    async def _release(self, request: web.Request) -> web.Response:
        name = self._known(request)
        await _object(request, set())
        if not self._admission.release(name, "asked for"):
            raise RequestRejectedError(409, f"{name!r} is not isolated by request.", code="not_held")
        return web.json_response({"name": name})

    def _known(self, request: web.Request) -> str:
        self._access.demand(request, self._token)
        name = request.match_info["name"]
        if name not in self._admission.standings:
            raise RequestRejectedError(404, f"There is no replica {name!r}.", code="no_such_replica")
        return name


async def _object(request: web.Request, known: set[str]) -> dict[str, Any]:
    """The body, an object with known keys only; nothing is an empty one."""
    text = await request.read()
    try:
        body = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise RequestRejectedError(400, f"The body is not JSON: {type(error).__name__}.") from None
    if not isinstance(body, dict):
        raise RequestRejectedError(400, "The body must be a JSON object.")
    for key in body:
        if key not in known:
            raise _bad(key, "is not known; known: " + ", ".join(sorted(known)))
    return body


def _address(body: Mapping[str, Any]) -> ReplicaAddress:
    name, weight, backup = body.get("name"), body.get("weight", 1), body.get("backup", False)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _bad("name", "must be letters, digits, dots, dashes and underscores, 64 at most")
    if not isinstance(weight, int) or isinstance(weight, bool) or not 1 <= weight <= WEIGHT_MAX:
        raise _bad("weight", f"must be a whole number from 1 to {WEIGHT_MAX}")
    if not isinstance(backup, bool):
        raise _bad("backup", "must be true or false")
    return ReplicaAddress(name, _url(body.get("url")), weight, backup)


def _url(text: object) -> str:
    wrong = _bad("url", "must be http://HOST:PORT")
    if not isinstance(text, str) or not text.isascii() or len(text) > 300:
        raise wrong
    try:
        url = URL(text)
        port = url.explicit_port
    except ValueError:
        raise wrong from None
    # Whatever else a URL may have would send users' requests to other paths, or carry a secret.
    if url.scheme not in ("http", "https") or not url.host or port is None or url != url.origin():
        raise wrong
    return str(url.origin()).rstrip("/")


def _seconds(body: Mapping[str, Any], key: str, bounds: tuple[float, float], default: float | None) -> float:
    value = body.get(key, default)
    low, high = bounds
    # Also false for what is no number at all: NaN, and whole numbers beyond every float.
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise _bad(key, f"must be seconds from {low:g} to {high:g}")
    return float(value)


def _bad(key: str, problem: str) -> RequestRejectedError:
    return RequestRejectedError(400, f"{key[:50]!r} {problem}.", param=key[:50])
