"""What the end of a try says of the replica: breaker and ejection count the same things. Pure."""

from __future__ import annotations

from enum import Enum

__all__ = ["Evidence", "evidence_of_answer"]


class Evidence(Enum):
    """Neutral is whatever the client did, and a replica that refuses work in good order."""

    GOOD = "good"
    NEUTRAL = "neutral"
    FAILED = "failed"


def evidence_of_answer(status: int, *, retry_after: bool) -> Evidence:
    """Of a whole answer; connect errors, broken answers and timeouts are always failures."""
    if status < 400:
        return Evidence.GOOD
    shed = status == 503 and retry_after
    return Evidence.NEUTRAL if status < 500 or shed else Evidence.FAILED
