"""Server-sent events as the OpenAI API writes them."""

from __future__ import annotations

import json

__all__ = ["DONE", "KEEP_ALIVE", "event"]

DONE = b"data: [DONE]\n\n"
# A comment: readers of events pass over it, whoever watches the connection does not.
KEEP_ALIVE = b": keep-alive\n\n"


def event(payload: object) -> bytes:
    """One event; JSON escapes newlines, so a payload can never split it."""
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"
