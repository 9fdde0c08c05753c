"""The body of a request as JSON, whatever was sent: what is not JSON is a 4xx, never an exception of ours."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import aiohttp
from aiohttp import web

from target_service.protocol.errors import RequestRejectedError

__all__ = ["BODY_MAX_BYTES", "decoded_json", "read_body", "read_json"]

# An image of 3 MB as base64 fits.
BODY_MAX_BYTES = 4 * 2**20


async def read_body(request: web.Request) -> bytes:
    """The whole body, unpacked; raises RequestRejectedError with 413 or, if it cannot be unpacked, 400."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        limit = f"The body has more than {BODY_MAX_BYTES} bytes."
        raise RequestRejectedError(413, limit, code="body_too_large") from None
    except (aiohttp.ClientError, web.RequestPayloadError, ValueError) as error:
        # A message of aiohttp repeats what was sent, and that may be secret.
        message = "The body is not what its headers say (length, chunks or Content-Encoding)."
        raise RequestRejectedError(400, message) from error


async def read_json(request: web.Request) -> Any:
    """The body, decoded; raises RequestRejectedError with 400, 413 or 415.

    A request without a Content-Type is taken at its word, as in other servers.
    """
    if "Content-Type" in request.headers and not _is_json(request.content_type):
        message = f"The Content-Type is {request.content_type[:100]!r}, not application/json."
        raise RequestRejectedError(415, message, code="unsupported_media_type")
    return decoded_json(await read_body(request))


def decoded_json(body: bytes) -> Any:
    """Strict JSON in UTF-8 (RFC 8259): no NaN, no numbers of thousands of digits, no nesting without end."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise RequestRejectedError(400, "The body is not JSON: it is nested too deeply.") from None
    except ValueError as error:
        raise RequestRejectedError(400, f"The body is not JSON: {_short(error)}.") from None


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _short(error: ValueError) -> str:
    # The one of the decoder repeats bytes of the body, which a reply may, but not megabytes of them.
    return f"byte {error.start} is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)[:200]
