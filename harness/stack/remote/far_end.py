"""A program beside the run's containers, which is spoken to over its standard input and output."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

__all__ = ["FarEnd"]


class FarEnd:
    """`command` is how it is started; what it complains of goes to `log`. In a session of its own: Ctrl-C is ours."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: IO[bytes]) -> None:
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environ),
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to: IO[bytes] = self.process.stdin
        self.back: IO[bytes] = self.process.stdout

    def kill(self) -> None:
        """End it now. May be called again."""
        self.process.kill()
        self.process.wait()
