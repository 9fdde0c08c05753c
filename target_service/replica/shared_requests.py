"""Requests that go to the engine's process through files in shared memory, as tensors do in many servers.

Each is as small as it is, but where others have filled /dev/shm there is no room for it: a container has 64 MiB.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from target_service.protocol.errors import RequestRejectedError

__all__ = ["SHARED_MEMORY", "handed_over", "taken"]

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the kernel's, not a temporary folder of ours


def handed_over(message: list[Any], folder: Path = SHARED_MEMORY) -> list[Any]:
    """The message that stands for it on the wire. Raises RequestRejectedError (500): there is no room."""
    path = None
    try:
        number, path = tempfile.mkstemp(prefix="request-", dir=folder)
        with open(number, "w", encoding="utf-8") as file:
            json.dump(message, file)
    except OSError as error:
        if path is not None:
            with suppress(OSError):
                os.unlink(path)
        raise RequestRejectedError(500, f"The request finds no room in {folder}: {error.strerror}.") from error
    return ["shared", path]


def taken(path: str) -> list[Any]:
    """The message that the file holds, which is gone then. Raises OSError, ValueError."""
    try:
        message: list[Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    finally:
        Path(path).unlink(missing_ok=True)
    return message
