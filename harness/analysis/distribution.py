"""How long good requests took, phase by phase: counts between logarithmic edges, the same for every phase."""

from __future__ import annotations

import numpy as np

from harness.analysis.frame import OUTCOMES, RunFrame
from harness.model.request import Outcome

__all__ = ["BINS_PER_DECADE", "latency_by_phase"]

BINS_PER_DECADE = 16  # edges 15 % apart
_OK = OUTCOMES.index(Outcome.OK)


def latency_by_phase(frame: RunFrame) -> dict[str, list[float] | list[int]]:
    """`edges_ms` and the counts of each phase between them; empty when no request was good."""
    found = {}
    for phase in dict.fromkeys(window.phase for window in frame.windows):
        users = frame.of_phase(phase)
        ms = users["latency_s"].to_numpy()[users["code"].to_numpy() == _OK] * 1000
        found[phase] = ms[ms > 0]
    known = [ms for ms in found.values() if ms.size]
    if not known:
        return {}
    low = np.floor(np.log10(min(ms.min() for ms in known)) * BINS_PER_DECADE)
    high = np.floor(np.log10(max(ms.max() for ms in known)) * BINS_PER_DECADE) + 1
    edges = 10 ** (np.arange(low, high + 1) / BINS_PER_DECADE)
    columns: dict[str, list[float] | list[int]] = {"edges_ms": [float(f"{edge:.6g}") for edge in edges]}
    for phase in ("baseline", "fault", "recovery"):
        if phase in found:
            at = np.clip(np.floor(np.log10(found[phase]) * BINS_PER_DECADE) - low, 0, edges.size - 2).astype(np.int64)
            columns[phase] = [int(n) for n in np.bincount(at, minlength=edges.size - 1)]
    return columns
