"""What server and engine process say to each other: frames of JSON, a length before each. Pure.

A frame is 4 bytes of length, big-endian, and that many bytes of JSON: a list of messages, each a list that begins
with its kind. JSON and not pickle: what one process sends can never be code in the other.

server to engine: submit id request express · shared path of a file with a submit · cancel id ·
fault name parameters|null · call id what argument · collect · stop
engine to server: loaded facts · bad reason · waited id seconds · event id event · status numbers · result id value ·
refused id reason
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from target_service.protocol.chat import ChatRequest, Message, Sampling, Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece

__all__ = ["FRAME_BYTES_MAX", "Frames", "Status", "WireError", "encode", "event_from", "event_message",
           "request_from", "request_message"]  # fmt: skip

FRAME_BYTES_MAX = 64 * 2**20  # the largest body of a request is 4 MiB, and JSON makes at most 6 bytes of one
HEAD = struct.Struct("!I")


class WireError(Exception):
    """What arrived is not a frame of this protocol."""


@dataclass(frozen=True)
class Status:
    """The engine's counters at a moment; `submits` says how many requests it had taken by then, express ones apart."""

    waiting: int = 0
    running: int = 0
    busy: bool = False
    died: bool = False
    tokens_total: int = 0
    steps_total: int = 0
    non_finite_total: int = 0
    submits: int = 0


def encode(messages: Sequence[Any]) -> bytes:
    """One frame with all the messages."""
    body = json.dumps(messages, separators=(",", ":")).encode()
    if len(body) > FRAME_BYTES_MAX:
        raise WireError(f"a frame of {len(body)} bytes is more than {FRAME_BYTES_MAX}")
    return HEAD.pack(len(body)) + body


class Frames:
    """Feed it bytes as they come; it gives the messages that are whole."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[list[Any]]:
        """All messages that are whole now; raises WireError."""
        self._kept += data
        messages: list[list[Any]] = []
        while len(self._kept) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._kept)
            if length > FRAME_BYTES_MAX:
                raise WireError(f"a frame of {length} bytes is more than {FRAME_BYTES_MAX}")
            end = HEAD.size + length
            if len(self._kept) < end:
                break
            messages += _messages(bytes(self._kept[HEAD.size : end]))
            del self._kept[:end]
        return messages


def _messages(body: bytes) -> list[list[Any]]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise WireError(f"a frame is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(message, list) and message for message in found):
        raise WireError("a frame is not a list of messages")
    return found


def request_message(number: int, request: ChatRequest, *, express: bool) -> list[Any]:
    """The message that submits a request."""
    return ["submit", number, dataclasses.asdict(request), express]


def request_from(body: dict[str, Any]) -> ChatRequest:
    """The request of a submit message."""
    messages = tuple(Message(**_frozen(message)) for message in body["messages"])
    sampling = Sampling(**_frozen(body["sampling"]))
    return ChatRequest(**{**body, "messages": messages, "sampling": sampling})


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only, where the dataclasses have tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def event_message(number: int, event: Event) -> list[Any]:
    """The message that tells of an event of a request."""
    return ["event", number, *_event_parts(event)]


def _event_parts(event: Event) -> list[Any]:
    match event:
        case Begun():
            return ["begun"]
        case Piece(text):
            return ["piece", text]
        case Finished(finish_reason, usage):
            return ["finished", finish_reason, usage.prompt_tokens, usage.completion_tokens]
        case Failed(rejected):
            parts = ["failed", rejected.status, rejected.message]
            return [*parts, rejected.param, rejected.code, rejected.retry_after_s]


def event_from(parts: Sequence[Any]) -> Event:
    """The event of an event message, from its kind on; raises WireError."""
    match parts:
        case ["begun"]:
            return Begun()
        case ["piece", str(text)]:
            return Piece(text)
        case ["finished", str(finish_reason), int(prompt_tokens), int(completion_tokens)]:
            return Finished(finish_reason, Usage(prompt_tokens, completion_tokens))
        case ["failed", int(status), str(message), param, code, retry_after_s]:
            rejected = RequestRejectedError(status, message, param=param, code=code, retry_after_s=retry_after_s)
            return Failed(rejected)
    raise WireError(f"{parts!r} is no event")
