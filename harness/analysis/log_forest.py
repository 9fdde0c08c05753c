"""Windows of the logs that are unlike the baseline's, by an Isolation Forest (Liu, Ting & Zhou, ICDM 2008).

The weights of seed 97 are exact: a split of the forest takes one column at random, so each feature has as many equal
columns as its weight is worth. A forest splits only between points that it has seen and would take a window outside
of the baseline's range for the baseline's outermost; so beside the baseline it is given as many points drawn evenly
over all that the features can be.

A window is marked when its score exceeds that of every window of the baseline, each scored by a forest that has not
seen it. Of n exchangeable windows of the baseline, one more exceeds them all with probability 1 / (n + 1): that many
marks come from chance, and the report says how many.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from harness.analysis.frame import Floats
from harness.analysis.log_windows import FEATURES, RANGES, WINDOW_S_MIN, LogWindows, features_in_words
from harness.model.log_evidence import LogEvidence, LogMark

__all__ = ["BASELINE_WINDOWS_MIN", "evidence_of", "import_ahead", "scores_of"]

WEIGHT_COLUMNS = {"frequency": 8, "entropy": 7, "likeness": 5}  # seed 97: 0.4, 0.35, 0.25
BASELINE_WINDOWS_MIN = 20
FOLDS, TREES = 5, 100
MARKS_MAX = 200
NO_LIBRARY = "scikit-learn is not there: install the extra 'logs' (pip install 'reliability-harness[logs]')"


def evidence_of(windows: LogWindows, seed: int) -> LogEvidence:
    """Marks of the windows after the baseline, or why there can be none. `seed` fixes the forests."""
    n, after = windows.n_baseline, len(windows.requests) - windows.n_baseline
    why_not = _why_not(windows)
    if why_not:
        return LogEvidence(windows.window_s, after, n, why_not)
    rows = windows.features()
    base, rest = scores_of(rows, n, seed)
    unusual = rest > base.max()
    marks = _marks(rows, rest, unusual, windows)
    marked = int(unusual.sum())
    return LogEvidence(windows.window_s, after, n, "", marks[:MARKS_MAX], marked, round(after / (n + 1), 1))


def import_ahead(baseline_s: float) -> None:
    """Import what takes a second, if it is there and a run with such a baseline will need it."""
    if baseline_s >= BASELINE_WINDOWS_MIN * WINDOW_S_MIN and find_spec("sklearn") is not None:
        import sklearn.ensemble  # noqa: F401


def _why_not(windows: LogWindows) -> str:
    n = windows.n_baseline
    if n < BASELINE_WINDOWS_MIN:
        needs_s = BASELINE_WINDOWS_MIN * windows.window_s
        return (
            f"not estimable: the baseline has {n} windows of {windows.window_s:g} s, and {BASELINE_WINDOWS_MIN} are "
            f"needed to know what is usual; phases.baseline_s of {needs_s:g} has them"
        )
    if np.median(windows.requests[:n]) < 1:
        return (
            f"not estimable: the logs name fewer than one request in {windows.window_s:g} s of the baseline; "
            "an access log of the target is what says more"
        )
    return NO_LIBRARY if find_spec("sklearn") is None else ""


def scores_of(rows: Floats, n: int, seed: int) -> tuple[Floats, Floats]:
    """Anomaly scores, 0 to 1, of the n windows of the baseline and of the others; rows of FEATURES."""
    from sklearn.ensemble import IsolationForest  # here: an extra, and half a second to import

    rng = np.random.default_rng(seed)
    low, high = np.array(RANGES).T
    columns = np.repeat(np.arange(len(FEATURES)), [WEIGHT_COLUMNS[name] for name in FEATURES])
    base, rest = np.empty(n), np.zeros(len(rows) - n)
    fold_of = np.arange(n) % FOLDS
    for fold in range(FOLDS):
        seen = rows[:n][fold_of != fold]
        spread = rng.uniform(low, high, size=(len(seen), len(FEATURES)))
        state = int(rng.integers(2**31))
        forest = IsolationForest(n_estimators=TREES, random_state=state).fit(np.vstack([seen, spread])[:, columns])
        base[fold_of == fold] = -forest.score_samples(rows[:n][fold_of == fold][:, columns])
        if len(rest):
            rest += -forest.score_samples(rows[n:][:, columns]) / FOLDS
    return base, rest


def _marks(rows: Floats, scores: Floats, unusual: Floats, windows: LogWindows) -> tuple[LogMark, ...]:
    """Marked windows in a row as one."""
    n, usual, found = windows.n_baseline, np.median(rows[: windows.n_baseline], axis=0), []
    marked = np.flatnonzero(unusual)
    for members in np.split(marked, np.flatnonzero(np.diff(marked) > 1) + 1) if len(marked) else []:
        top = members[np.argmax(scores[members])]
        begin_s, end_s = ((n + int(at)) * windows.window_s for at in (members[0], members[-1] + 1))
        words = features_in_words(rows[n + top].tolist(), usual.tolist())
        found.append(LogMark(round(begin_s, 3), round(end_s, 3), round(float(scores[top]), 3), words))
    return tuple(found)
