"""What has changed over the nights: since which, by how much, with few false alarms however many series are watched.

`ruptures` (Truong, Oudre, Vayatis, Signal Processing 167, 2020) finds where a series of ranks splits best. It says
nothing of chance, so that is asked of permutations: how well would the same nights split in another order? Their
p-values are exact whatever the noise, as long as nights without a change could have come in any order. Over all series
the false discovery rate is held (Benjamini and Hochberg, JRSS B 57, 1995); where a split was found its two parts are
asked in turn (as E-divisive does, Matteson and James, JASA 109, 2014; the rate over such a tree: Yekutieli, JASA 103,
2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.model.verdict import Estimate

__all__ = ["NIGHTS_MIN", "Change", "Comparison", "Summary", "compare_nights", "discoveries"]

FloatArray = npt.NDArray[np.float64]
NIGHTS_MIN = 10  # fewer could hardly show anything: the best split of 3 and 6 has a chance of 1 in 84
PART_MIN = 3  # nights on each side, so that one bad night is no change
_ROUNDS_MAX = 8
_BLOCK = 4096


@dataclass(frozen=True)
class Summary:
    """One night as numbers. `values`: one per series, its unit in its name; None: not estimable that night."""

    began_at: str  # wall time, ISO 8601
    build: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Change:
    """One series left its level. `night`: the first of the new level, an index into the nights compared."""

    series: str
    night: int
    began_at: str
    build: str
    direction: Literal["up", "down"]
    before: float  # medians of the two levels
    after: float
    size: Estimate  # after minus before (Hodges-Lehmann); bounds None: too few nights for the confidence
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Changes by night, then series; how many series were asked; and which were not, each with the reason."""

    changes: tuple[Change, ...]
    series: int
    not_asked: Mapping[str, str]
    false_discovery_rate: float


@dataclass(frozen=True)
class _Part:
    """A stretch of one series: the nights that have a value, and the values."""

    series: str
    nights: npt.NDArray[np.int64]
    values: FloatArray


def compare_nights(nights: Sequence[Summary], seed: int, false_discovery_rate: float = 0.05) -> Comparison:
    """Changes of level in every series of `nights`, which must be of one configuration and host, and in order.

    `false_discovery_rate`: when nothing changed, the chance of any alarm from one comparison; otherwise the expected
    share of false ones among the changes of a round. The `seed` draws the permutations.
    """
    parts, not_asked = _series(nights)
    rng, found, asked = np.random.default_rng(seed), [], len(parts)
    null = _Null(rng, permutations=math.ceil(10 * max(asked, 20) / false_discovery_rate))
    for _ in range(_ROUNDS_MAX):
        splits = [_best_split(part.values) for part in parts]
        chances = [null.p_value(part.values, split) for part, split in zip(parts, splits, strict=True)]
        real = discoveries(chances, false_discovery_rate)
        # Intervals of what was selected cover as they say (Benjamini and Yekutieli, JASA 100, 2005).
        confidence = 1 - false_discovery_rate * len(real) / max(1, len(parts))
        children: list[_Part] = []
        for which in real:
            part, split = parts[which], splits[which]
            found.append(_change(nights, part, split, confidence, chances[which]))
            sides = (slice(None, split), slice(split, None))
            children += [_Part(part.series, part.nights[side], part.values[side]) for side in sides]
        parts = [part for part in children if len(part.values) >= NIGHTS_MIN and np.ptp(part.values) > 0]
        if not parts:
            break
    return Comparison(
        tuple(sorted(found, key=lambda one: (one.night, one.series))), asked, not_asked, false_discovery_rate
    )


def discoveries(p_values: Sequence[float], rate: float) -> list[int]:
    """Which hypotheses Benjamini and Hochberg's step-up procedure rejects, as indices in order."""
    order = np.argsort(p_values, kind="stable")
    passed = np.flatnonzero(np.asarray(p_values)[order] <= rate * np.arange(1, len(order) + 1) / max(1, len(order)))
    return sorted(int(one) for one in order[: passed[-1] + 1]) if passed.size else []


def _series(nights: Sequence[Summary]) -> tuple[list[_Part], dict[str, str]]:
    parts, not_asked = [], {}
    for name in sorted({name for night in nights for name in night.values}):
        there = [(at, value) for at, night in enumerate(nights) if (value := night.values.get(name)) is not None]
        values = np.array([value for _, value in there], np.float64)
        if len(values) < NIGHTS_MIN:
            not_asked[name] = f"{len(values)} nights have a value, {NIGHTS_MIN} needed"
        elif np.ptp(values) > 0:
            parts.append(_Part(name, np.array([at for at, _ in there], np.int64), values))
        else:
            not_asked[name] = f"the same in all {len(values)} nights"
    return parts, not_asked


def _best_split(values: FloatArray) -> int:
    """Where the second level begins, if there are two."""
    import ruptures

    split = ruptures.KernelCPD(kernel="linear", min_size=PART_MIN).fit(_ranks(values)[:, None]).predict(n_bkps=1)[0]
    return int(split)


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: FloatArray = (ends - (counts - 1) / 2).astype(np.float64)
    return middle[which]


class _Null:
    """How well nights in random order split: drawn once for each set of ranks, so once per length but for ties."""

    def __init__(self, rng: np.random.Generator, permutations: int) -> None:
        self._rng, self._permutations = rng, permutations
        self._drawn: dict[bytes, FloatArray] = {}

    def p_value(self, values: FloatArray, split: int) -> float:
        """The chance of a split at least as good, exact with both ones (Phipson and Smyth, SAGMB 9, 2010)."""
        ranks = _ranks(values)
        key = np.sort(ranks).tobytes()
        if key not in self._drawn:
            blocks = range(0, self._permutations, _BLOCK)
            rows = [np.tile(ranks, (min(_BLOCK, self._permutations - at), 1)) for at in blocks]
            self._drawn[key] = np.sort(
                np.concatenate([_gains(self._rng.permuted(b, axis=1)).max(axis=1) for b in rows])
            )
        drawn = self._drawn[key]
        seen = _gains(ranks[None, :])[0, split - PART_MIN]
        as_good = len(drawn) - int(np.searchsorted(drawn, seen - 1e-9, side="left"))
        return (1 + as_good) / (1 + len(drawn))


def _gains(rows: FloatArray) -> FloatArray:
    """(rows, n) -> (rows, splits): the squares between two parts, for every split that leaves PART_MIN on each side.

    It is what ruptures' linear kernel maximises, and the square of Wilcoxon's standardised rank sum but for a constant.
    """
    n = rows.shape[1]
    before = np.arange(PART_MIN, n - PART_MIN + 1)
    left = np.cumsum(rows, axis=1)[:, before - 1]
    centred = left - before * rows.mean(axis=1, keepdims=True)
    gains: FloatArray = centred**2 * n / (before * (n - before))
    return gains


def _change(nights: Sequence[Summary], part: _Part, split: int, confidence: float, p_value: float) -> Change:
    before, after = part.values[:split], part.values[split:]
    night = int(part.nights[split])
    size = _shift(before, after, confidence)
    assert size.value is not None
    direction: Literal["up", "down"] = (
        "up" if _ranks(part.values)[split:].mean() > (len(part.values) + 1) / 2 else "down"
    )
    return Change(
        series=part.series,
        night=night,
        began_at=nights[night].began_at,
        build=nights[night].build,
        direction=direction,
        before=float(np.median(before)),
        after=float(np.median(after)),
        size=size,
        p_value=p_value,
    )


def _shift(before: FloatArray, after: FloatArray, confidence: float) -> Estimate:
    """Hodges and Lehmann's shift with Moses' exact interval (Hollander and Wolfe, Nonparametric Statistics, 4.3).

    Given the split: that it was chosen as the best one makes a small change look a little larger than it is.
    """
    differences = np.sort(np.subtract.outer(after, before).ravel())
    below = np.cumsum(_rank_sum_chances(len(before), len(after)))
    # The largest k with P(U <= k - 1) <= alpha / 2: the k smallest and largest differences are left out.
    k = int(np.searchsorted(below, (1 - confidence) / 2, side="right"))
    low, high = (float(differences[k - 1]), float(differences[-k])) if k > 0 else (None, None)
    n = len(before) + len(after)
    method = "Hodges-Lehmann, exact rank-sum interval, given the night" + ("" if k else ": too few nights for bounds")
    return Estimate(float(np.median(differences)), low, high, confidence, method, n)


def _rank_sum_chances(m: int, n: int) -> FloatArray:
    """(m n + 1,): Mann and Whitney's distribution of U without a change, by their generating function."""
    chances = np.zeros(m * n + 1)
    chances[0] = 1.0
    for i in range(1, m + 1):
        chances[n + i :] = (chances - np.concatenate([np.zeros(n + i), chances])[: m * n + 1])[n + i :]
        for at in range(i, m * n + 1):
            chances[at] += chances[at - i]
        chances *= i / (n + i)
    return chances
