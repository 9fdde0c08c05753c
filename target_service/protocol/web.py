"""What every reply of replica and gateway has in common: identity headers and error bodies."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from target_service.protocol.errors import RequestRejectedError, error_body

__all__ = ["INCARNATION", "NOT_READY", "REQUEST_ID", "error_reply", "is_probe", "refuse_odd_expectations", "request_id",
           "with_error_bodies"]  # fmt: skip

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"
SERVED_BY = "X-Served-By"
PROBE = "X-Probe"
PATH_SHOWN = 200
CONTINUE = "100-continue"
INCARNATION = "X-Incarnation"
NOT_READY = "X-Not-Ready"
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
    if rejected.code == "not_ready":
        headers[NOT_READY] = "1"  # nothing was begun: somebody else may be asked
    if rejected.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(rejected.body(), status=rejected.status, headers=headers)


def refuse_odd_expectations(runner: web.AppRunner) -> None:
    """Answer an unknown Expect header with 417, on every path; call it between the runner's setup and its first site.

    aiohttp looks at the header before any middleware, and answers one that is not UTF-8 with 500.
    """
    server = runner.server
    assert server is not None, "the runner is not set up"
    handle = server.request_handler

    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", CONTINUE).lower() == CONTINUE:
            return await handle(request)
        return web.json_response(error_body(417, "Expect may only be 100-continue."), status=417)

    server.request_handler = guarded


@web.middleware
async def with_error_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises, unknown paths and methods among it, into OpenAI error bodies."""
    try:
        return await handler(request)
    except RequestRejectedError as rejected:
        return error_reply(rejected)
    except web.HTTPException as raised:
        body = error_body(raised.status, f"{request.method} {request.path[:PATH_SHOWN]}: {raised.reason}.")
        # 405 must say what is allowed (RFC 9110, section 15.5.6).
        headers = {key: raised.headers[key] for key in ("Allow",) if key in raised.headers}
        return web.json_response(body, status=raised.status, headers=headers)
    except ConnectionError:
        # The client has left in the middle of its answer.
        raise
    except Exception:
        if request.writer.output_size > 0:
            # A second answer inside the first would look like content: the connection must break.
            raise
        log.exception("a request failed: %s", request_id(request))
        return web.json_response(error_body(500, "The server failed; its log says why."), status=500)
