"""Text that may stand in an SVG."""

from __future__ import annotations

import re

__all__ = ["clean"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Text without control characters, in one line."""
    return _CONTROL.sub(" ", text)
