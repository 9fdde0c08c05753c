"""How many verified trials does an hour of real processes give? Ten minutes of the shipped file, from start to stop."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.store.trials import TrialStore
from tests.bench.figure import Figure, Goal

GOALS = (Goal("soak_trials_per_hour", ">=", 200, "trials"),)
ROOT = Path(__file__).parents[2]
_BUDGET = "10m"
_FREE_S = 30  # of a night of an hour it would be 300 s: the same share


def figures() -> list[Figure]:
    model = Path(os.environ.get("HARNESS_TEST_MODEL", ".model")).resolve()
    text = (ROOT / "scenarios" / "soak" / "thirty-days.yaml").read_text()
    assert "fault_free_s: 300" in text
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "soak.yaml").write_text(text.replace("fault_free_s: 300", f"fault_free_s: {_FREE_S}"))
        command = [sys.executable, "-m", "harness.cli", "soak", "measure", "soak.yaml", "--model", str(model)]
        begin_s = time.monotonic()
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": name}
        subprocess.run([*command, "--budget", _BUDGET], cwd=name, env=environ, check=False, stdout=sys.stderr)
        taken_s = time.monotonic() - begin_s
        nights, _ = TrialStore(Path(name) / "reports" / "soak" / "thirty-days" / "trials.jsonl").read()
    valid = sum(trial.valid for trial in nights[-1].trials)
    thrown_out = len(nights[-1].trials) - valid
    return [GOALS[0].figure(valid / taken_s * 3600, f"{valid} verified, {thrown_out} thrown out, in {taken_s:.0f} s")]
