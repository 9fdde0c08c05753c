"""A helper process of the load: its own session, JSON lines in and out, and an end that cannot hang."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Helper"]

_TERM_S = 1.0
_KILL_S = 5.0


class Helper:
    """Started at once; `messages` never blocks unless told to wait."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path, fds: Sequence[int] = ()) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                pass_fds=tuple(fds),
                start_new_session=True,
                bufsize=0,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)  # a stopped child must not block the harness
        self._rest = b""

    @property
    def pid(self) -> int:
        """Of the process, and of its session."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None: it still runs."""
        return self._process.poll()

    def tell(self, message: Mapping[str, object]) -> bool:
        """False: it does not listen any more."""
        try:
            line = (json.dumps(message) + "\n").encode()
            return os.write(self._stdin.fileno(), line) == len(line)
        except (OSError, ValueError):  # ValueError: closed on this side
            return False

    def messages(self, wait_s: float = 0.0) -> list[dict[str, Any]]:
        """What it said since the last call; waits for at most `wait_s` for something to come."""
        said: list[dict[str, Any]] = []
        while not self._stdout.closed and select.select([self._stdout], [], [], wait_s)[0]:
            data = os.read(self._stdout.fileno(), 65536)
            if not data:
                self._stdout.close()
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            said += [json.loads(line) for line in lines]
            wait_s = 0.0
        return said

    def end(self, wait_s: float) -> None:
        """Close its stdin, give it `wait_s`, then SIGTERM and SIGKILL to its session."""
        self._stdin.close()
        for wait_for_s, number in ((wait_s, signal.SIGTERM), (_TERM_S, signal.SIGKILL)):
            if self.wait(wait_for_s):
                break
            self._signal(number)
        else:
            self.wait(_KILL_S)
        self._stdout.close()

    def wait(self, wait_s: float) -> bool:
        """Wait for at most `wait_s`; has it ended?"""
        try:
            self._process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: int) -> None:
        # Only while it is not reaped: afterwards its number may belong to somebody else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
