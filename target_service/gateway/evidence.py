"""What the end of a try says of the replica: breaker and ejection count the same things. Pure."""

from __future__ import annotations

from enum import Enum

__all__ = ["Evidence", "evidence_of_answer", "outcome_of_answer"]


class Evidence(Enum):
    """Neutral is whatever the client did, and a replica that refuses work in good order."""

    GOOD = "good"
    NEUTRAL = "neutral"
    FAILED = "failed"


def evidence_of_answer(status: int, *, retry_after: bool) -> Evidence:
    """Of a whole answer; connect errors, broken answers and timeouts are always failures."""
    if status < 400:
        return Evidence.GOOD
    return Evidence.NEUTRAL if status < 500 or _shed(status, retry_after=retry_after) else Evidence.FAILED


def outcome_of_answer(status: int, *, retry_after: bool) -> str:
    """What a whole answer is counted as: a user who got an error was not served, whoever said it.

    `invalid` is a request that the replica says is wrong, as the gateway itself says of others.
    """
    if status < 400:
        return "answered"
    if _shed(status, retry_after=retry_after):
        return "upstream_shed"
    return "upstream_error" if status >= 500 else "invalid"


def _shed(status: int, *, retry_after: bool) -> bool:
    """Whether work was refused in good order."""
    return status == 429 or (status == 503 and retry_after)
