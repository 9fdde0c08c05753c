"""Golden answers that were recorded of the target itself: what counts as wrong when the right answer is only its own.

Real engines answer differently when a batch is composed differently. So some answers under load differ from those
recorded while the target was idle, fault or no fault. How many is seen in the baseline; only what is beyond that, and
beyond chance, is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.analysis.frame import OUTCOMES, RunFrame
from harness.analysis.intervals import rate
from harness.model.history import History
from harness.model.request import Outcome
from harness.model.verdict import Interval

__all__ = ["Disagreement", "disagreement_of", "excess_wrong"]

CONFIDENCE = 0.95
_WRONG = OUTCOMES.index(Outcome.WRONG_ANSWER)


@dataclass(frozen=True)
class Disagreement:
    """Of the baseline, under load and without a fault."""

    wrong: int
    checked: int
    asked: int  # prompts
    reproducible: int  # of them were answered the same twice, idle; the others are not checked

    @property
    def sentence(self) -> str:
        """For what the data cannot show."""
        prompts = f"{self.reproducible} of {self.asked} prompts, which it answered the same twice while idle"
        return (
            f"The right answers are the target's own, recorded before the run for {prompts}; "
            f"under load and without a fault {self.wrong:,} of {self.checked:,} answers were others."
        )


def disagreement_of(history: History, frame: RunFrame) -> Disagreement | None:
    """None: the right answers were known beforehand."""
    told = next((event for event in history.events if event.kind == "golden.recorded"), None)
    if told is None:
        return None
    baseline = frame.of_episode(0)
    checked = int((baseline["checked"] & baseline["eligible"]).sum())
    wrong = int((baseline["code"].to_numpy() == _WRONG).sum())
    return Disagreement(wrong, checked, int(told.fields.get("asked", 0)), int(told.fields.get("reproducible", 0)))


def excess_wrong(wrong: int, checked: int, normal: Disagreement) -> Interval | None:
    """How many of an episode's answers were wrong beyond the target's own disagreement; None: none was checked.

    Exact (Clopper-Pearson) bounds on the baseline's rate; with each of them as many as chance allows at 95 %.
    """
    if checked == 0 or normal.checked == 0:
        return None
    bounds = rate(normal.wrong, normal.checked, CONFIDENCE)
    low_rate, high_rate = bounds.low or 0.0, 1.0 if bounds.high is None else bounds.high
    at_least = _quantile((1 - CONFIDENCE) / 2, checked, low_rate)
    at_most = _quantile(1 - (1 - CONFIDENCE) / 2, checked, high_rate)
    return Interval(max(0.0, wrong - at_most), max(0.0, wrong - at_least))


def _quantile(quantile: float, n: int, rate_: float) -> float:
    """The smallest count that a binomial draw keeps below with that probability."""
    return float(np.searchsorted(special.bdtr(np.arange(n + 1), n, rate_), quantile - 1e-12))
