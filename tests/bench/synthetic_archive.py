"""An archive without its runs: folders with the verdict of a real fake run, times, levels and outcomes changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

SCENARIOS = 25
BINS = 400  # of the time series, as in a run of two minutes
CHANGED = 3  # every so many scenarios one gets slower halfway


def write_archive(root: Path, verdict: Path, runs: int) -> None:
    """Make `runs` run folders below `root` from one verdict.json, spread over SCENARIOS scenarios."""
    base = json.loads(verdict.read_text(encoding="utf-8"))
    series = {name: (values * BINS)[:BINS] for name, values in base["series"].items()}
    rng = np.random.default_rng(runs)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    each = max(1, runs // SCENARIOS)
    for index in range(runs):
        number, turn = index % SCENARIOS, index // SCENARIOS
        slower = 1.6 if number % CHANGED == 0 and turn >= each // 2 else 1.0
        p50_s = float(rng.lognormal(np.log(3.0 * slower), 0.12))
        lost = int(rng.poisson(20 * p50_s))
        failed = p50_s > 5
        at = (begun + timedelta(hours=index)).isoformat()
        run_id = f"{at[:19].replace('-', '').replace(':', '').replace('T', '-')}-s{number:02d}-{index:04x}"
        p50 = {"value": p50_s, "low": p50_s * 0.8, "high": p50_s * 1.25, "confidence": 0.95, "method": "m", "n": 9}
        changed = base | {
            "scenario": f"scenario-{number:02d}",
            "outcome": "fail" if failed else "inconclusive" if index % 97 == 0 else "pass",
            "reason": f"recovery took {p50_s:.1f} s; at most 5 was asked" if failed else base["reason"],
            "run": base["run"] | {"run_id": run_id, "wall_begin": at},
            "sli": base["sli"] | {"lost": lost, "eligible": 2000, "success_rate": 1 - lost / 2000},
            "estimates": base["estimates"] | {"recovery_s_p50": p50},
            "series": series,
        }
        folder = root / run_id
        folder.mkdir(parents=True)
        order = [*(name for name in changed if name not in ("series", "marks", "limits", "recompute"))]
        order += ["series", "marks", "limits", "recompute"]
        lines = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(changed[name])}" for name in order)
        (folder / "verdict.json").write_text("{\n  " + lines + "\n}\n", encoding="utf-8")
        (folder / "header.json").write_text(json.dumps({"run_id": run_id, "wall_begin": at}), encoding="utf-8")
