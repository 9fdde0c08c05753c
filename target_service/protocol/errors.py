"""The error body of the OpenAI API, and the one exception that becomes such a body.

RequestRejectedError
    the request cannot be served; carries status, message, param and code
"""

from __future__ import annotations

from typing import Any

__all__ = ["RequestRejectedError", "error_body"]

_KINDS = {400: "invalid_request_error", 404: "not_found_error", 413: "invalid_request_error",
          422: "invalid_request_error", 429: "overloaded_error", 502: "upstream_error",
          503: "unavailable_error", 504: "timeout_error"}  # fmt: skip


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The JSON object of an error reply; `type` follows from the status."""
    kind = _KINDS.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code or status}}


class RequestRejectedError(Exception):
    """A request that ends in an error reply. `retry_after_s` becomes the Retry-After header."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """The reply's JSON object."""
        return error_body(self.status, self.message, param=self.param, code=self.code)
