"""What became of a request: exactly one of nine outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["COUNTED_OUTSIDE_SLI", "Lane", "Outcome", "Request"]


class Outcome(StrEnum):
    """How a request ended. Only `ok` is good."""

    OK = "ok"
    WRONG_ANSWER = "wrong_answer"  # well formed, but not the golden answer
    HTTP_ERROR = "http_error"  # any status other than 2xx, shed load (429, 503) included
    REFUSED = "refused"  # refused, reset or closed before a response byte
    TIMEOUT = "timeout"  # no byte by the deadline
    DEADLINE_MISSED = "deadline_missed"  # begun, unfinished at the deadline
    TRUNCATED = "truncated"  # broken after a byte, or a stream without finish_reason and [DONE]
    NOT_SENT = "not_sent"  # the generator did not send it: its own fault, outside the SLI
    IN_FLIGHT_AT_END = "in_flight_at_end"  # the run ended before its deadline: outside the SLI


COUNTED_OUTSIDE_SLI = frozenset({Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END})


class Lane(StrEnum):
    """Which stream of requests a record belongs to; only `user` is in the SLI."""

    USER = "user"
    WARMUP = "warmup"
    CONTROL = "control"  # to the trivial echo server: the noise floor of generator and host


@dataclass(frozen=True)
class Request:
    """One request as recorded. Times are seconds from the run's origin; None: did not happen."""

    index: int  # position in its lane's schedule
    scheduled_s: float
    sent_s: float | None
    first_byte_s: float | None
    done_s: float | None
    outcome: Outcome
    lane: Lane = Lane.USER
    task: str = "chat"
    status: int | None = None
    served_by: str | None = None
    ttft_s: float | None = None  # from sending to the first token
    gap_max_s: float | None = None  # the largest silence between two tokens of a stream
    tokens: int | None = None
    checked: bool = False  # the answer was compared with a golden one
    detail: str | None = None  # e.g. the class of a connection error
