"""Log lines: stderr, one line each, monotonic time first, so they align with a harness's history."""

from __future__ import annotations

import logging
import sys
import time

__all__ = ["log_to_stderr"]


class _OneLine(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        text = text.replace("\n", " | ")
        return f"{time.monotonic():.3f} {self._program} {record.levelname.lower()} {text}"


def log_to_stderr(program: str, level: int = logging.INFO) -> None:
    """Send this process's log to stderr; `program` names it in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(program))
    logging.basicConfig(level=level, handlers=[handler], force=True)
