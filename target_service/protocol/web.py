"""What every reply of replica and gateway has in common: identity headers and error bodies."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from target_service.protocol.errors import RequestRejectedError, error_body

__all__ = ["INCARNATION", "REQUEST_ID", "error_reply", "is_probe", "request_id", "with_error_bodies"]

REQUEST_ID = "X-Request-Id"
SERVED_BY = "X-Served-By"
PROBE = "X-Probe"
INCARNATION = "X-Incarnation"
_SAFE_ID = re.compile(r"[\x21-\x7e]{1,200}")
_ID = web.RequestKey("request_id", str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def request_id(request: web.Request) -> str:
    """The client's X-Request-Id, or one made for it; the same on every call for a request."""
    known = request.get(_ID)
    if known is None:
        given = request.headers.get(REQUEST_ID, "")
        known = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        request[_ID] = known
    return known


def is_probe(request: web.Request) -> bool:
    """Whether somebody is only checking; a probe is never counted as a user."""
    return PROBE in request.headers


def error_reply(rejected: RequestRejectedError) -> web.Response:
    """The reply for a request that cannot be served."""
    headers = {}
    if rejected.retry_after_s is not None:
        headers["Retry-After"] = str(rejected.retry_after_s)
    if rejected.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(rejected.body(), status=rejected.status, headers=headers)


@web.middleware
async def with_error_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what aiohttp raises for unknown paths and methods into OpenAI error bodies."""
    try:
        return await handler(request)
    except RequestRejectedError as rejected:
        return error_reply(rejected)
    except web.HTTPException as raised:
        body = error_body(raised.status, f"{request.method} {request.path}: {raised.reason}.")
        return web.json_response(body, status=raised.status)
