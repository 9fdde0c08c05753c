"""What the API refuses, in the words of the official server."""

from __future__ import annotations

__all__ = ["ApiError", "bad_body", "missing"]


class ApiError(Exception):
    """A status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def bad_body(why: object) -> ApiError:
    """The body cannot be read, or says something that cannot be."""
    return ApiError(400, f"bad request body: {why}")


def missing(field: str) -> ApiError:
    """A field without which there is no proxy."""
    return ApiError(400, f"missing required field: {field}")
