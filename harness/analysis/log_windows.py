"""Windows of the logs as numbers: request frequency, entropy of response codes, likeness of the sequence (seed 97).

All three are held against the run's own baseline; a window of the baseline is held against the others of it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.analysis.frame import Floats
from harness.analysis.log_operations import operation_of
from harness.model.log_evidence import LogRecord

__all__ = ["FEATURES", "RANGES", "WINDOWS_MAX", "WINDOW_S_MIN", "LogWindows", "features_in_words", "window_length_s"]

FEATURES = ("frequency", "entropy", "likeness")
RANGES = ((-6.0, 6.0), (0.0, 2.0), (0.0, 1.0))
WINDOW_S_MIN, WINDOWS_MAX = 1.0, 2000
KINDS_MAX = 2000  # of operations that are told apart
Step = tuple[int, int]  # from one kind of operation to the next
K = TypeVar("K")


def window_length_s(length_s: float) -> float:
    """Seconds: one, and more of a run that would have more than WINDOWS_MAX of them."""
    return max(WINDOW_S_MIN, math.ceil(length_s / WINDOWS_MAX))


@dataclass
class LogWindows:
    """Counts per window while lines are added, in memory that does not grow with the logs. Times from `begin_s` on."""

    begin_s: float  # of the schedule, on the run's clock
    length_s: float
    baseline_s: float
    window_s: float

    def __post_init__(self) -> None:
        n = int(self.length_s / self.window_s + 1e-9)
        self.n_baseline = min(n, int(self.baseline_s / self.window_s + 1e-9))
        self.requests = np.zeros(n)
        self._codes: list[dict[str, float]] = [defaultdict(float) for _ in range(n)]
        self._steps: list[dict[Step, float]] = [defaultdict(float) for _ in range(n)]
        self._kinds: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = {}

    def add(self, record: LogRecord) -> None:
        """Count a line in the window in which it was written; one from outside the schedule is passed over."""
        at = math.floor((record.at_s - self.begin_s) / self.window_s)
        if not 0 <= at < len(self.requests):
            return
        kind, code = operation_of(record.text)
        number = self._number(record.source, kind)
        before = self._last.get(record.source, -1)
        self._last[record.source] = number
        self._steps[at][before, number] += record.weight
        if code is not None:
            self.requests[at] += record.weight
            self._codes[at][code] += record.weight

    def features(self) -> Floats:
        """A row for each window: FEATURES, within RANGES."""
        n, base = len(self.requests), slice(0, self.n_baseline)
        codes, steps = _total(self._codes[base]), _total(self._steps[base])
        usual = float(np.median(self.requests[base])) if self.n_baseline else 0.0
        found = np.empty((n, len(FEATURES)))
        for at in range(n):
            inside = at < self.n_baseline
            others = _without(codes, self._codes[at]) if inside else codes
            known = _without(steps, self._steps[at]) if inside else steps
            found[at] = (
                math.log2((self.requests[at] + 0.5) / (usual + 0.5)),
                _pooled_entropy_bits(self._codes[at], others),
                _cosine(self._steps[at], known),
            )
        low, high = np.array(RANGES).T
        return np.clip(found, low, high)

    def _number(self, source: str, kind: str) -> int:
        """Of a kind of operation of one log; beyond KINDS_MAX all new ones are one."""
        key = (source, kind)
        if key not in self._kinds and len(self._kinds) >= KINDS_MAX:
            key = ("", "")
        return self._kinds.setdefault(key, len(self._kinds))


def _total(counts: Iterable[Mapping[K, float]]) -> dict[K, float]:
    found: dict[K, float] = defaultdict(float)
    for one in counts:
        for key, n in one.items():
            found[key] += n
    return found


def _without(counts: Mapping[K, float], part: Mapping[K, float]) -> dict[K, float]:
    return {key: n - part.get(key, 0.0) for key, n in counts.items() if n > part.get(key, 0.0)}


def _pooled_entropy_bits(window: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Shannon entropy of the codes of window and baseline, each with weight one half.

    Of the window alone it would be 0 for one in which all is refused just as for one in which all is well. That nothing
    was asked is the frequency's to say: then it is the baseline's.
    """
    window, baseline = window or baseline, baseline or window
    n, m = sum(window.values()), sum(baseline.values())
    shares = [window.get(code, 0) / n / 2 + baseline.get(code, 0) / m / 2 for code in {*window, *baseline}]
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _cosine(a: Mapping[Step, float], b: Mapping[Step, float]) -> float:
    """Of the counts of steps from one operation to the next of the same log; 1 for two without any."""
    if not a and not b:
        return 1.0
    length = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return sum(n * b.get(step, 0.0) for step, n in a.items()) / length if length else 0.0


def features_in_words(row: Sequence[float], usual: Sequence[float]) -> str:
    """How a window differs from the baseline's median, each feature in a few words."""
    times = 2 ** float(row[0])
    return (
        f"{times:.2g} times the baseline's requests, "
        f"codes {row[1]:.2f} bits (baseline {usual[1]:.2f}), sequence {row[2]:.2f} alike (baseline {usual[2]:.2f})"
    )
