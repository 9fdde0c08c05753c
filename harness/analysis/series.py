"""The run over time, in at most 1,000 bins, for the charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from harness.analysis.error_budget import BURN_RATE_PAGE, DAYS, budget_use, objective_of
from harness.analysis.frame import OUTCOMES, RunFrame, percentile_ms
from harness.model.request import COUNTED_OUTSIDE_SLI, Outcome
from harness.model.scenario import Scenario
from harness.model.verdict import EpisodeResult

__all__ = ["bin_series", "budget_series", "timeline_marks"]

BINS_MAX = 1000
BIN_S_MIN = 0.25


def bin_series(frame: RunFrame) -> dict[str, list[Any]]:
    """Columns t_s (from the schedule's begin), bin_s, a count per outcome, success_rate, latency_ms_p50 and _p99.

    A request is counted in the bin in which it was due. Latencies are of good requests only; None where there are none.
    """
    length_s = max(frame.end_s - frame.begin_s, BIN_S_MIN)
    bin_s = max(BIN_S_MIN, float(np.ceil(length_s / BINS_MAX * 20) / 20))
    bins = min(BINS_MAX, int(np.ceil(length_s / bin_s)))
    at = ((frame.users["scheduled_s"].to_numpy() - frame.begin_s) / bin_s).astype(np.int64)
    code = frame.users["code"].to_numpy().astype(np.int64)
    inside = (at >= 0) & (at < bins)
    counts = np.bincount(at[inside] * len(OUTCOMES) + code[inside], minlength=bins * len(OUTCOMES)).reshape(
        bins, len(OUTCOMES)
    )
    outside = [OUTCOMES.index(Outcome.NOT_SENT), OUTCOMES.index(Outcome.IN_FLIGHT_AT_END)]
    eligible = counts.sum(axis=1) - counts[:, outside].sum(axis=1)
    good = counts[:, OUTCOMES.index(Outcome.OK)]
    series: dict[str, list[Any]] = {"t_s": [round(i * bin_s, 3) for i in range(bins)], "bin_s": [bin_s] * bins}
    series |= {name: [int(count) for count in counts[:, i]] for i, name in enumerate(OUTCOMES)}
    series["success_rate"] = [int(g) / int(n) if n else None for g, n in zip(good, eligible, strict=True)]
    chosen = inside & (code == OUTCOMES.index(Outcome.OK))
    series |= _latency_per_bin(at[chosen], frame.users["latency_s"].to_numpy()[chosen], bins)
    return series


def _latency_per_bin(at: Any, latency_s: Any, bins: int) -> dict[str, list[float | None]]:
    edges = np.searchsorted(at, np.arange(1, bins))  # requests are sorted by their scheduled time, so bins are slices
    parts = np.split(latency_s, edges)
    return {
        f"latency_ms_{name}": [percentile_ms(part, q) for part in parts] for name, q in (("p50", 0.5), ("p99", 0.99))
    }


def budget_series(series: Mapping[str, list[Any]], scenario: Scenario) -> dict[str, list[Any]]:
    """`budget_used_share`: of the error budget of 30 days at the scenario's rate, used by the end of each bin.

    `budget_objective` and `budget_page_share` have one value each: the objective, and what a page of one hour at a
    burn rate of 14.4 stands for.
    """
    bad = [name for name in OUTCOMES if name not in COUNTED_OUTSIDE_SLI and name != Outcome.OK]
    lost = accumulate(sum(counts) for counts in zip(*(series[name] for name in bad), strict=True))
    objective, rate_per_s = objective_of(scenario), scenario.load.rate_per_s
    one = budget_use(1, rate_per_s, objective).used_share
    return {
        "budget_used_share": [float(f"{n * one:.6g}") for n in lost],
        "budget_objective": [objective],
        "budget_page_share": [BURN_RATE_PAGE / (DAYS * 24)],
    }


def timeline_marks(frame: RunFrame, episodes: Sequence[EpisodeResult]) -> tuple[dict[str, Any], ...]:
    """Phases, fault windows and recovery stages, in seconds from the schedule's begin."""
    marks: list[dict[str, Any]] = [
        {
            "kind": "phase",
            "begin_s": w.begin_s - frame.begin_s,
            "end_s": w.end_s - frame.begin_s,
            "label": w.phase,
            "episode": w.episode,
        }
        for w in frame.windows
    ]
    for one in episodes:
        if one.fault_begin_s is None:
            continue
        begin_s = one.fault_begin_s - frame.begin_s
        end_s = begin_s if one.fault_end_s is None else one.fault_end_s - frame.begin_s
        marks.append(
            {"kind": "fault", "begin_s": begin_s, "end_s": end_s, "label": ", ".join(one.faults), "episode": one.number}
        )
        moments = {
            "detect": one.stages.detect_s,
            "isolate": one.stages.isolate_s,
            "restore": one.stages.restore_s,
            "verify": one.stages.verify_s,
            "recovered": one.recovery_s.high if one.recovery_s else None,
        }
        for kind, after_s in moments.items():
            if after_s is not None:
                at_s = round(begin_s + after_s, 4)
                marks.append({"kind": kind, "begin_s": at_s, "end_s": at_s, "label": kind, "episode": one.number})
    return tuple(marks)
