"""Nights that never happened, with costs that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.model.faults import ProcessKill, ProcessPause
from harness.model.scenario import Claim, Load
from harness.model.soak import FaultRate, FaultType, Measure, SoakFile
from harness.model.soak_trials import FaultFree, Night, Trial
from harness.soak.latency import bins_of

RATE_PER_S = 10.0


def soak_file(**changes: object) -> SoakFile:
    """Two counted types at 3 and 2 events in 30 days."""
    counted = [FaultRate(events=n, exposure_days=30, source="a test") for n in (3, 2)]
    fields: dict[str, object] = {
        "name": "made-up",
        "days": 30,
        "load": Load(rate_per_s=RATE_PER_S),
        "faults": (
            FaultType(name="crash", rate=counted[0], inject=(ProcessKill(),)),
            FaultType(name="hang", rate=counted[1], inject=(ProcessPause(for_s=2),)),
        ),
        "objectives": {"success_rate": Claim(min=0.999)},
        "measure": Measure(trials_min=10),
        "file": "made-up.yaml",
    }
    return SoakFile(**{**fields, **changes})  # type: ignore[arg-type]


def trial(fault_type: str, order: int, lost: int, **changes: object) -> Trial:
    """Of at least 100 requests; recovered after a tenth of a second for each one that was lost."""
    back_s = lost / RATE_PER_S
    requests = max(100, lost)
    fields: dict[str, object] = {
        "fault_type": fault_type, "order": order, "begin_s": 100.0 + 20 * order, "gap_s": 1.0 + (order * 37 % 11) / 2,
        "window_s": 15.0, "valid": True, "invalid_reason": "", "proof": "exit -9", "incident": lost > 0,
        "first_good_s": (0.0, back_s) if lost else None,
        "recovery_s": (max(0.0, back_s - 0.1), back_s) if lost else None,
        "detect_s": 0.2, "isolate_s": 0.5, "restore_s": 3.0, "verify_s": 4.0, "loading_s": 2.0,
        "requests": requests, "lost": lost, "slow": 0, "wrong": 0, "in_flight_max": 4,
        "latency_s_sum": (requests - lost) * 0.02, "latency_bins": bins_of(np.full(requests - lost, 0.02)),
    }  # fmt: skip
    return Trial(**{**fields, **changes})  # type: ignore[arg-type]


def night(costs: dict[str, Sequence[int]], run_id: str = "20000101-a", **changes: object) -> Night:
    """Trials of the types in turn, each losing so many requests."""
    pairs = [(name, lost) for turn in zip(*costs.values(), strict=True) for name, lost in zip(costs, turn, strict=True)]
    trials = tuple(trial(name, order, lost) for order, (name, lost) in enumerate(pairs, start=1))
    free = FaultFree(300.0, 30_000, 0, 600.0, 0.04, 3, bins_of(np.full(30_000, 0.02)),
                     tuple((60.0 * m, 6000, 0, 0.02 + m / 10_000) for m in range(5)))  # fmt: skip
    fields: dict[str, object] = {
        "run_id": run_id, "wall_begin": f"2000-01-01T00:00:00+00:00{run_id}", "soak": "made-up", "seed": "1",
        "stack": "fake",
        "build": "1", "configuration": "c", "host": "h", "model": "m", "rate_per_s": RATE_PER_S, "duration_s": 3600.0,
        "scheduled": 30_000 + sum(one.requests for one in trials), "lost": sum(one.lost for one in trials),
        "trusted": True, "doubts": (),
        "fault_free": free, "trials": trials,
    }  # fmt: skip
    return Night(**{**fields, **changes})  # type: ignore[arg-type]


def drawn_costs(seed: int, n: int = 40, mean: float = 20.0) -> list[int]:
    """Whole numbers around a mean."""
    return [int(v) for v in np.random.default_rng(seed).poisson(mean, n)]
