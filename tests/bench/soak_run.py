"""Does real time stay bounded? `soak run` at 50 requests a second: does memory grow, and how much disk does it leave?

HARNESS_SOAK_RUN_MIN says for how many minutes, 60 by default, so it is not in the default set: --only soak_run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.model.soak import SoakFile
from harness.model.soak_report import DriftResult
from harness.model.soak_trials import Night
from harness.soak.drift import drift_results
from harness.store.trials import TrialStore
from tests.bench.figure import Figure, Goal

GOALS = (
    Goal("soak_run_growing", "<=", 0, "processes"),
    Goal("soak_run_mb_per_100k", "<=", 3, "MB"),
)
ROOT = Path(__file__).parents[2]
RATE_PER_S = 50
MINUTES = "HARNESS_SOAK_RUN_MIN"
SOAK = f"""# Real time at {RATE_PER_S} requests a second is bounded in memory and disk.
name: bounded
days: 30
load: {{rate_per_s: {RATE_PER_S}, deadline_s: 2}}
faults: [{{name: crash, inject: [{{kind: process.kill}}], rate: {{assumed_per_30_days: 0.0001}}}}]
objectives: {{success_rate: {{min: 0.999}}}}
"""


def figures() -> list[Figure]:
    minutes = float(os.environ.get(MINUTES, "60"))
    with tempfile.TemporaryDirectory() as name:
        return of_run(Path(name), run(Path(name), minutes))


def of_run(folder: Path, nights: tuple[Night, ...]) -> list[Figure]:
    minutes = sum(night.duration_s for night in nights) / 60
    requests = sum(night.scheduled for night in nights)
    disk = sum(path.stat().st_size for path in (folder / "reports").rglob("*") if path.is_file())
    rows = [row for row in drift_results(_soak(), nights) if row.quantity == "resident_mb"]
    together = 1 - 0.05 / max(1, len(rows))  # 95 % for all processes together
    rows = [row for row in drift_results(_soak(), nights, together) if row.quantity == "resident_mb"]
    for row in rows:
        print(f"soak_run: {row.source}: {_words(row)}", file=sys.stderr)
    assert rows, "no process was looked at"
    how = f"{minutes:g} min, {requests:,} requests"
    growing = [row.source for row in rows if not _flat(row)]
    if any(row.per_hour.value is None for row in rows):
        return [GOALS[0].not_measured(), GOALS[1].figure(disk / 1e6 / requests * 1e5, how)]
    return [
        GOALS[0].figure(len(growing), f"of {len(rows)} {', '.join(growing) or 'none'}; {how}"),
        GOALS[1].figure(disk / 1e6 / requests * 1e5, how),
    ]


def run(folder: Path, minutes: float) -> tuple[Night, ...]:
    """One leg, so that no process begins anew."""
    (folder / "soak.yaml").write_text(SOAK)
    model = Path(os.environ.get("HARNESS_TEST_MODEL", ".model")).resolve()
    command = [sys.executable, "-m", "harness.cli", "soak", "run", "soak.yaml", "--model", str(model), "--seed", "1"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    times = ["--hours", f"{minutes / 60:.6f}", "--leg", f"{minutes:g}m"]
    subprocess.run([*command, *times], cwd=folder, env=environ, check=True, stdout=sys.stderr)
    return TrialStore(folder / "reports" / "soak" / "bounded" / "trials.jsonl").read()[0]


def _soak() -> SoakFile:
    return SoakFile(name="bounded", days=30)


def _flat(row: DriftResult) -> bool:
    """The interval of its slope includes 0."""
    low, high = row.per_hour.low, row.per_hour.high
    return low is not None and high is not None and low <= 0 <= high


def _words(row: DriftResult) -> str:
    slope = row.per_hour
    if slope.value is None:
        return slope.method
    return f"{row.level:.1f} MB, {slope.value:+.3f} MB/h ({slope.low:+.3f} to {slope.high:+.3f}){' bends' * row.bends}"
