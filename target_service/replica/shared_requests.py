"""Requests that go to the engine's process through files in shared memory, as tensors do in many servers.

Each is as small as it is, but where others have filled /dev/shm there is no room for it: a container has 64 MiB. The
files have no name: the server holds each open for as long as it waits for the answer, and the engine opens it through
the server's descriptor, so that nothing stays behind whichever of the two ends, and when.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import IO, Any

from target_service.protocol.errors import RequestRejectedError

__all__ = ["SHARED_MEMORY", "SharedRequests", "taken"]

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the kernel's, not a temporary folder of ours


class SharedRequests:
    """The server's, each held until it is released."""

    def __init__(self, folder: Path = SHARED_MEMORY) -> None:
        self.bytes = 0  # that they take
        self._folder = folder
        self._files: dict[int, tuple[IO[bytes], int]] = {}

    def hand_over(self, number: int, message: list[Any]) -> list[Any]:
        """The message that stands for it on the wire. Raises RequestRejectedError (500): there is no room."""
        data = json.dumps(message).encode()
        file: IO[bytes] | None = None
        try:
            file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  held until it is released
            file.write(data)
        except OSError as error:
            if file is not None:
                file.close()
            said = f"The request finds no room in {self._folder}: {error.strerror}."
            raise RequestRejectedError(500, said) from error
        self._files[number] = file, len(data)
        self.bytes += len(data)
        return ["shared", number, f"/proc/{os.getpid()}/fd/{file.fileno()}"]

    def release(self, number: int) -> None:
        """Nobody waits for its answer any more, if it was handed over at all."""
        file, size = self._files.pop(number, (None, 0))
        if file is not None:
            file.close()
            self.bytes -= size

    def clear(self) -> None:
        """Nobody waits for any."""
        for number in list(self._files):
            self.release(number)


def taken(number: int, path: str) -> list[Any] | None:
    """The message that the file holds; None: the server wants no answer any more, and may use its descriptor anew."""
    try:
        message: list[Any] = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return message if message[:2] == ["submit", number] else None
