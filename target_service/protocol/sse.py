"""Server-sent events as the OpenAI API writes them."""

from __future__ import annotations

import json

__all__ = ["DONE", "event"]

DONE = b"data: [DONE]\n\n"


def event(payload: object) -> bytes:
    """One event; JSON escapes newlines, so a payload can never split it."""
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"
