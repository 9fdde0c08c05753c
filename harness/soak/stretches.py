"""The stretches of a run in which nothing was broken, with what was sampled in them: what ageing is told from.

Before the first fault, and after each one from a minute after users had their service back. Blocks make what is sampled
at times of its own comparable, and keep the store small: at most `BLOCKS` numbers of each series.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.analysis.frame import OUTCOMES, Floats, RunFrame
from harness.model.request import Outcome
from harness.model.soak_trials import DriftSeries, Stretch
from harness.model.verdict import EpisodeResult

__all__ = ["Sampled", "stretches_of"]

BLOCKS = 120
BLOCK_S_MIN = 3.0  # samples come every two seconds
STRETCH_S_MIN = 120.0  # fewer than 40 blocks tell nothing
YOUNG_SHARE, YOUNG_S_MAX = 0.2, 900.0  # of the first stretch, left out: pools fill in a process that has just begun
SETTLE_S = 60.0  # after a fault: caches and connections come back
_OK = OUTCOMES.index(Outcome.OK)


@dataclass(frozen=True)
class Sampled:
    """What was read off one source. Times in seconds from the run's origin.

    `value` (n,) at `at_s` (n,), rising. With `per` (n,) both only grow, and what counts is how much `value` grew for
    each that `per` did, as hits of lookups. `breaks_s`: when the source began anew.
    """

    source: str
    quantity: str
    at_s: Floats
    value: Floats
    limit: float | None = None
    per: Floats | None = None
    breaks_s: tuple[float, ...] = ()


def stretches_of(frame: RunFrame, episodes: Sequence[EpisodeResult], sampled: Sequence[Sampled]) -> tuple[Stretch, ...]:
    """In the order of time; none when the run had no stretch of STRETCH_S_MIN seconds."""
    return tuple(
        _stretch(frame, sampled, begin_s, end_s)
        for begin_s, end_s in _spans(frame, episodes)
        if end_s - begin_s >= STRETCH_S_MIN
    )


def _spans(frame: RunFrame, episodes: Sequence[EpisodeResult]) -> Iterator[tuple[float, float]]:
    baseline = [window for window in frame.windows if window.episode == 0]
    if baseline:
        begin_s, end_s = baseline[0].begin_s, baseline[-1].end_s
        yield begin_s + min(YOUNG_S_MAX, YOUNG_SHARE * (end_s - begin_s)), end_s
    for one in episodes:
        mine = [window for window in frame.windows if window.episode == one.number]
        if not mine or (one.recovery_s is not None and one.recovery_s.high is None):
            continue
        healed_s = max((window.end_s for window in mine if window.phase == "fault"), default=mine[0].begin_s)
        back_s = mine[0].begin_s + (one.recovery_s.high or 0.0 if one.recovery_s else 0.0)
        yield max(healed_s, back_s) + SETTLE_S, mine[-1].end_s


def _stretch(frame: RunFrame, sampled: Sequence[Sampled], begin_s: float, end_s: float) -> Stretch:
    block_s = max(BLOCK_S_MIN, (end_s - begin_s) / BLOCKS)
    count = int((end_s - begin_s) / block_s + 1e-9)
    edges: Floats = np.asarray(begin_s + block_s * np.arange(count + 1), dtype=np.float64)
    users = frame.users
    good = users["code"].to_numpy() == _OK
    done_s = np.sort(users["done_s"].to_numpy()[good])
    served = np.searchsorted(done_s, edges[1:]) - np.searchsorted(done_s, begin_s)
    latencies = _means(users["scheduled_s"].to_numpy()[good], users["latency_s"].to_numpy()[good], edges)
    series = [DriftSeries("users", "latency_s_mean", latencies)]
    for one in sampled:
        values = _grown(one, edges) if one.per is not None else _means(one.at_s, one.value, edges)
        if any(value is not None for value in values) and not any(begin_s < at < end_s for at in one.breaks_s):
            series.append(DriftSeries(one.source, one.quantity, values, one.limit))
    return Stretch(round(begin_s, 3), round(block_s, 6), tuple(int(one) for one in served), tuple(series))


def _means(at_s: Floats, value: Floats, edges: Floats) -> tuple[float | None, ...]:
    block = np.searchsorted(edges, at_s, side="right") - 1
    inside = (block >= 0) & (block < len(edges) - 1) & np.isfinite(value)
    count = np.bincount(block[inside], minlength=len(edges) - 1)
    total = np.bincount(block[inside], value[inside], minlength=len(edges) - 1)
    return tuple(float(f"{t / n:.6g}") if n else None for t, n in zip(total, count, strict=True))


def _grown(one: Sampled, edges: Floats) -> tuple[float | None, ...]:
    """Between the last samples before both ends of each block."""
    assert one.per is not None
    at = np.searchsorted(one.at_s, edges, side="right") - 1
    found: list[float | None] = []
    for here, there in pairwise(at):
        grown = one.per[there] - one.per[here] if here >= 0 else 0.0
        found.append(float(f"{(one.value[there] - one.value[here]) / grown:.6g}") if grown > 0 else None)
    return tuple(found)
