"""One `harness run --stack compose`, timed, with what it recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.judge import judge
from harness.model.history import History
from harness.model.verdict import Verdict
from harness.store.folder import RunFolder

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class ContainerRun:
    """What a run took and what it recorded; `watched` is what the bench saw of it meanwhile."""

    wall_s: float
    history: History
    verdict: Verdict
    watched: Any = None

    def at_s(self, kind: str) -> float:
        """When the first event of a kind was recorded, in seconds after the run's origin."""
        return next(event.at_s for event in self.history.events if event.kind == kind)


def container_run(text: str, watch: Callable[[subprocess.Popen[str], Path], Any] | None = None) -> ContainerRun:
    """Run a scenario to its end. `watch` is called once, with the process and the folder of its runs.

    Raises RuntimeError when the run did not go to its end.
    """
    with tempfile.TemporaryDirectory() as name:
        file, out = Path(name) / "scenario.yaml", Path(name) / "reports"
        file.write_text(text)
        begin_s = time.monotonic()
        with _started(file, out, Path(name)) as process:
            watched = watch(process, out) if watch else None
            said, _ = process.communicate()
        wall_s = time.monotonic() - begin_s
        folders = [path.parent for path in out.glob("*/plan.json")]
        if len(folders) != 1:
            raise RuntimeError(f"no run was recorded: {said[-500:]}")
        history = RunFolder(folders[0]).read()
    if not history.complete:
        raise RuntimeError(f"the run did not go to its end: {said[-500:]}")
    return ContainerRun(wall_s, history, judge(history), watched)


@contextmanager
def _started(file: Path, out: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    model = Path(os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model").resolve()
    command = [sys.executable, "-m", "harness.cli", "run", str(file), "--out", str(out), "--model", str(model)]
    with subprocess.Popen(
        [*command, "--stack", "compose", "--seed", "1"],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()  # its guard clears the stack
