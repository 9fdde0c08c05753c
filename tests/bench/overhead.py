"""What does the harness add to a run? The time of `harness run` beyond what the plan is made of, on the local stack.

Most of it is the target's own start, two processes that import torch and transformers; `overhead_target_start_s` is
that share, from the recorded events, so that a slow machine can be told from a slow harness.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.store.folder import RunFolder
from tests.bench.figure import Figure, Goal, span

REPEATS = 3
_ROOT = Path(__file__).parents[2]
_SCENARIO = "scenarios/kill-primary.yaml"
_LONGEST_S = 180
GOALS = (Goal("overhead_s", "<=", 8, "s"), Goal("overhead_target_start_s", "<=", None, "s"))


def figures() -> list[Figure]:
    seconds = [_once() for _ in range(REPEATS)]
    return [GOALS[0].figure(statistics.median(seconds), span(seconds))]


def _once() -> float:
    model = Path(os.environ.get("HARNESS_TEST_MODEL") or _ROOT / ".model").resolve()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "reports"
        where = ["--stack", "local", "--model", str(model), "--out", str(out)]
        command = [sys.executable, "-m", "harness.cli", "run", _SCENARIO, *where]
        environ = {**os.environ, "XDG_STATE_HOME": name}
        begin_s = time.monotonic()
        done = subprocess.run(
            command, cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
        wall_s = time.monotonic() - begin_s
        folders = [path.parent for path in out.glob("*/plan.json")]
        if len(folders) != 1:
            raise RuntimeError(f"no run was recorded, exit code {done.returncode}: {done.stderr[-500:]}")
        history = RunFolder(folders[0]).read()
    if not history.complete:
        raise RuntimeError(f"the run did not go to its end: {done.stdout[-500:]}")
    scripted_s = history.plan.duration_s
    print(f"overhead: {wall_s:.1f} s for {scripted_s:.1f} s of plan, exit code {done.returncode}", file=sys.stderr)
    return wall_s - scripted_s
