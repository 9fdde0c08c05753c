"""What does the harness add to a run? The time of `harness run` beyond what the plan is made of, on the local stack.

Most of it is the target's own start, two processes that import torch and transformers; that share is printed, from the
recorded events, so that a slow machine can be told from a slow harness.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.stack.reference.settings import REPLICAS
from harness.store.folder import RunFolder
from tests.bench.figure import Figure, Goal, span

REPEATS = 3
_ROOT = Path(__file__).parents[2]
_SCENARIO = "scenarios/death-and-supervision/kill-primary.yaml"
_LONGEST_S = 180
GOALS = (Goal("overhead_s", "<=", 8, "s"),)


def figures() -> list[Figure]:
    seconds = [_once() for _ in range(REPEATS)]
    return [GOALS[0].figure(statistics.median(seconds), span(seconds))]


def _bare_loads_s() -> float:
    """As many processes as there are replicas import what a replica imports and load its model, nothing beside them."""
    code = (
        f"from target_service.model.loading import *; load(LoadOptions(__import__('pathlib').Path({str(_model())!r})))"
    )
    begin_s = time.monotonic()
    loads = [
        subprocess.Popen([sys.executable, "-c", code], cwd=_ROOT, stderr=subprocess.DEVNULL)
        for _ in range(len(REPLICAS))
    ]
    if any(load.wait(_LONGEST_S) for load in loads):
        raise RuntimeError("a process could not load the model")
    return time.monotonic() - begin_s


def _model() -> Path:
    return Path(os.environ.get("HARNESS_TEST_MODEL") or _ROOT / ".model").resolve()


def _once() -> float:
    bare_s = _bare_loads_s()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "reports"
        where = ["--stack", "local", "--model", str(_model()), "--out", str(out)]
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
    at_s = {event.kind: event.at_s for event in history.events}
    start_s, warmup_s = at_s["target_ready"] - at_s["stack_up"], at_s["warmup_end"] - at_s["target_ready"]
    parts = f"{start_s:.1f} s the target's start, {warmup_s:.1f} s warm-up; the same loads alone: {bare_s:.1f} s"
    print(f"overhead: {wall_s - scripted_s:.1f} s, of it {parts}; exit code {done.returncode}", file=sys.stderr)
    return wall_s - scripted_s
