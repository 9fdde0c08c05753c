"""The harness's own proxy in front of a target that it did not start: one process, one link, this run's label."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from harness.model.errors import StackError
from harness.stack.base import RunContext
from harness.stack.owned import RUN_LABEL
from harness.stack.ports import HeldPorts
from harness.stack.reference.settings import HOST, proxy_seed

__all__ = ["USERS_LINK", "EmbeddedProxy"]

USERS_LINK = "gateway"  # as on the other stacks, so that their scenarios run unchanged
END_S = 2.0


class EmbeddedProxy:
    """Started at once; it has no supervisor, since a proxy that dies ends the run."""

    def __init__(self, run: RunContext, folder: Path, upstream: tuple[str, int]) -> None:
        held = self._held = HeldPorts(2)
        self.port, self.api_port = held.ports
        self._log = folder / "proxy.log"
        ip, port = upstream
        address = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        placed = ["-host", HOST, "-port", str(self.api_port), "-seed", proxy_seed(run.seed), "-instance", run.run_id]
        made = ["--proxy", USERS_LINK, f"{HOST}:{self.port}", address]
        held.release()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.toxics", *placed, *made],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, RUN_LABEL: run.run_id},
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises StackError when it has ended."""
        code = self._process.poll()
        if code is not None:
            said = self._log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
            raise StackError(f"the harness's own proxy ended with status {code}: {said[-1]}")

    def end(self) -> None:
        """Safe to call twice."""
        self._held.forget()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
