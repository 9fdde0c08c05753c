"""A night as one number per series, for whoever looks at how nights change: units in the names, None where unknown."""

from __future__ import annotations

import numpy as np

from harness.model.soak_trials import Night
from harness.soak.latency import merged, quantile_s

__all__ = ["night_values"]


def night_values(night: Night) -> dict[str, float | None]:
    """Medians and means over the verified trials of each type, and what the fault-free stretch was like.

    Names are `TYPE.recovery_s_p50`, `TYPE.recovery_s_p90`, `TYPE.lost_mean`, `fault_free.latency_s_mean`,
    `fault_free.latency_s_p99` and `fault_free.success_rate`. A trial that had not recovered counts with the time
    it was watched.
    """
    found: dict[str, float | None] = {}
    for name in sorted({trial.fault_type for trial in night.trials}):
        mine = [trial for trial in night.trials if trial.fault_type == name and trial.valid]
        down_s = [trial.downtime_s for trial in mine]
        for q in (50, 90):
            found[f"{name}.recovery_s_p{q}"] = float(np.quantile(down_s, q / 100)) if mine else None
        found[f"{name}.lost_mean"] = float(np.mean([trial.lost for trial in mine])) if mine else None
    free = night.fault_free
    good = free.requests - free.lost if free else 0
    found["fault_free.latency_s_mean"] = free.latency_s_sum / good if free and good else None
    found["fault_free.latency_s_p99"] = quantile_s(merged([(free.latency_bins, 1.0)]), 0.99) if free else None
    found["fault_free.success_rate"] = good / free.requests if free and free.requests else None
    return found
