"""A short night on real processes: measured, stored, projected, and inconclusive for lack of trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.store.trials import TrialStore

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.process]
ROOT = Path(__file__).parent.parent.parent
SOAK = """# A month with crashes and broken links.
name: brief
days: 30
load: {rate_per_s: 20, deadline_s: 2}
faults:
  - {name: crash, inject: [{kind: process.kill}], rate: {events: 2, exposure_days: 90, source: a test}}
  - {name: cut, inject: [{kind: network.down, on: gateway, for_s: 1}], rate: {events: 1, exposure_days: 9, source: it}}
  - {name: longer-cut, inject: [{kind: network.down, on: gateway, for_s: 2}], rate: {assumed_per_30_days: 1}}
objectives: {success_rate: {min: 0.999}, failures: {max: 2}}
measure: {budget_min: 1, trial_s: 6, gap_s_min: 0.2, gap_s_max: 0.5, fault_free_s: 5}
steady_state: {hold_s: 1}
warmup_max_s: 12
"""


def test_a_night_on_real_processes_is_stored_and_projected_and_says_that_its_trials_are_too_few(
    tmp_path: Path, model_folder: Path
) -> None:
    (tmp_path / "brief.yaml").write_text(SOAK)
    command = [sys.executable, "-m", "harness.cli", "soak", "nightly", "brief.yaml", "--model", str(model_folder)]
    done = subprocess.run(
        [*command, "--seed", "1"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    store = tmp_path / "reports" / "soak" / "brief"
    (night,), _ = TrialStore(store / "trials.jsonl").read()
    valid = [trial for trial in night.trials if trial.valid]
    assert len(valid) >= 3, [trial.invalid_reason for trial in night.trials]
    assert {trial.fault_type for trial in valid} == {"crash", "cut", "longer-cut"}
    assert all("exit" in t.proof or "SIG" in t.proof for t in valid if t.fault_type == "crash")
    free = night.fault_free
    assert free is not None
    assert night.scheduled == free.requests + sum(trial.requests for trial in night.trials)
    assert sum(trial.lost for trial in valid if trial.fault_type == "cut") > 0
    (run,) = (path for path in (tmp_path / "reports").iterdir() if path.name != "soak")
    looks = [json.loads(line) for line in (run / "stack" / "use.jsonl").read_text().splitlines()]
    assert {"harness", "child", "toxics", "gateway", "primary", "standby"} <= set(looks[0]["processes"])
    assert all(look["processes"]["gateway"][1] > 5 and look["target_disk_mb"] > 0 for look in looks)
    report = json.loads((store / "projection.json").read_text())
    assert report["outcome"] == "inconclusive"
    assert "too few verified trials" in report["reason"] or report["trials"] == len(valid)
    assert f"projection calibrated on {report['trials']} verified trials" in (store / "report.html").read_text()
    assert "MB of files" in report["limits"][0]
