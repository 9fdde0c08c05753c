"""One run of the whole product, as a user starts it, and the outcome of its verdict; how many is for whoever starts it.

HARNESS_BENCH_STACK chooses the stack (local), HARNESS_BENCH_RUNS how many runs of a kind instead of as many as a goal
asks for: a bench that was cut short like this measures nothing that may be quoted, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ran", "run_once", "runs", "short"]

ROOT = Path(__file__).parents[2]
LONGEST_S = 300
RUNS, STACK = "HARNESS_BENCH_RUNS", "HARNESS_BENCH_STACK"


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    outcome: str  # of the verdict: pass, fail or inconclusive
    reason: str


def runs(asked: int) -> int:
    """How many runs: as many as the goal asks for, unless somebody chose otherwise."""
    return int(os.environ.get(RUNS) or asked)


def short(asked: int) -> str:
    """What is said of a figure from fewer runs than its goal asks for; empty: nothing."""
    return f"; only {runs(asked)} of {asked} runs" if runs(asked) < asked else ""


def run_once(scenario: Path, seed: str) -> Ran:
    """Raises RuntimeError when there is no verdict."""
    model = (os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model", os.environ.get(STACK) or "local")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "reports"
        where = ["--stack", model[1], "--model", str(model[0]), "--seed", seed, "--out", str(out)]
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", "run", str(scenario), *where],
            cwd=ROOT, env={**os.environ, "XDG_STATE_HOME": name}, capture_output=True, text=True,
            timeout=LONGEST_S, check=False,
        )  # fmt: skip
        verdicts = list(out.glob("*/verdict.json"))
        if len(verdicts) != 1:
            raise RuntimeError(f"{scenario}: no verdict, exit code {done.returncode}: {done.stderr[-500:]}")
        said = json.loads(verdicts[0].read_text())
    return Ran(str(said["outcome"]), str(said["reason"]))
