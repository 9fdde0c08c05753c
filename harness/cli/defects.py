"""An error that nobody expected, as one sentence; its traceback lies in a file, for who mends it."""

from __future__ import annotations

import tempfile
import traceback

from harness.model.errors import unexpected

__all__ = ["defect_sentence"]


def defect_sentence(error: Exception) -> str:
    """To be called while the error is handled."""
    path = _keep_traceback()
    return f"{unexpected(error)}; see {path}" if path else unexpected(error)


def _keep_traceback() -> str:
    """Write the traceback where it can be attached to a report; returns the file's name, or nothing on a full disk."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="harness-defect-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
    except OSError:
        return ""
    return file.name
