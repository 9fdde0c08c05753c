"""Commands that a scenario names: program and arguments without a shell, a limit on their time, nothing left of them.

What they print may hold a secret, so only one line of it is ever kept, with every secret of the environment struck out.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from harness.record.clock import Clock
from harness.stack.owned import RUN_LABEL

__all__ = ["Command", "Ended", "label_of", "without_secrets"]

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
SECRET_CHARS_MIN = 6  # shorter values are words like "yes", and striking them out would tell more than it hides
LINE_CHARS_MAX = 200
TICK_S = 0.02


@dataclass(frozen=True)
class Ended:
    """How a command ended. `status` None: it did not end in time and was killed, or could not be started."""

    status: int | None
    words: str  # its first line, or why it has no status


class Command:
    """Started at once, in a session of its own; `ended` never waits."""

    def __init__(self, argv: Sequence[str], timeout_s: float, clock: Clock, label: Mapping[str, str]) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._clock = clock
        self._begin_s = clock.now()
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the command
        self._result: Ended | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **label},
                start_new_session=True,
            )
        except OSError as error:
            self._result = Ended(None, f"{self._argv[0]} could not be started: {error.strerror}")
            self._output.close()

    def ended(self) -> Ended | None:
        """None: it still runs."""
        if self._result is not None or self._process is None:
            return self._result
        status = self._process.poll()
        if status is None and self._clock.now() < self._begin_s + self._timeout_s:
            return None
        if status is None:
            return self.kill(f"{self._argv[0]} had not ended after {self._timeout_s:g} s and was killed")
        self._result = Ended(status, self._first_line())
        self._output.close()
        return self._result

    def wait(self) -> Ended:
        """As long as its limit at most."""
        while (ended := self.ended()) is None:
            self._clock.sleep(TICK_S)
        return ended

    def kill(self, why: str) -> Ended:
        """End it and what it started; does nothing to one that has ended."""
        if self._result is None and self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._result = Ended(None, why)
            self._output.close()
        assert self._result is not None
        return self._result

    def _first_line(self) -> str:
        self._output.seek(0)
        lines = self._output.read(64 * 1024).decode(errors="replace").splitlines()
        line = next((line.strip() for line in lines if line.strip()), "it printed nothing")
        return without_secrets(line, os.environ)[:LINE_CHARS_MAX]


def without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """The text with the value of every variable struck out whose name says that it is a secret."""
    for name, value in environ.items():
        if SECRET.search(name) and len(value.strip()) >= SECRET_CHARS_MIN:
            text = text.replace(value.strip(), f"[{name}]")
    return text


def label_of(run_id: str) -> dict[str, str]:
    """What everything that a run starts carries."""
    return {RUN_LABEL: run_id}
