"""The numbers of `Verdict.sli` that every report leads with, under the names that the renderers use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.request import Outcome
from harness.model.verdict import Verdict
from harness.render.numbers import count, percent
from harness.render.words import BAD_OUTCOMES, lost_words

__all__ = ["Headline", "headline", "run_id"]

_OUTCOMES = ("outcomes", "by_outcome")
_LOST = ("lost", "lost_requests")
_TARGET = ("target_received", "target_count")
_KNOWN = {
    "scheduled",
    "eligible",
    "good",
    "success_rate",
    "wrong_answers",
    "checked_answers",
    *_OUTCOMES,
    *_LOST,
    *_TARGET,
    *Outcome,
}


@dataclass(frozen=True)
class Headline:
    """What users lost, of how much. None: the verdict does not say."""

    scheduled: int | None
    eligible: int | None
    good: int | None
    lost: int | None
    wrong: int | None
    checked: int | None
    success_rate: float | None
    target_count: Any
    outcomes: Mapping[str, int]
    rest: Mapping[str, Any]

    @property
    def bad(self) -> Mapping[str, int]:
        """The outcomes that count against the service."""
        return {name: n for name, n in self.outcomes.items() if name in BAD_OUTCOMES}

    @property
    def sentence(self) -> str:
        """Users lost 686 of 13,214 requests: 512 refused or reset, ..."""
        if self.eligible == 0:
            return "No request was eligible: nothing can be said about what users lost."
        if self.lost is None:
            return "What users lost is not known."
        what = lost_words(self.bad)
        of = f"Users lost {count(self.lost)} of {count(self.eligible)} requests"
        return f"{of}: {what}." if what else f"{of}."

    @property
    def wrong_words(self) -> str:
        """0 wrong answers among 812 checked."""
        among = "" if self.checked is None else f" among {count(self.checked)} checked"
        return f"{count(self.wrong)} wrong answer{'' if self.wrong == 1 else 's'}{among}"

    @property
    def success_words(self) -> str:
        """Success rate 99.95 %."""
        return f"success rate {percent(self.success_rate)}"


def headline(verdict: Verdict) -> Headline:
    """Read the headline numbers out of the verdict."""
    sli = verdict.sli
    nested = _first(sli, _OUTCOMES)
    outcomes = nested if isinstance(nested, Mapping) else {name.value: sli[name] for name in Outcome if name in sli}
    return Headline(
        scheduled=sli.get("scheduled"),
        eligible=sli.get("eligible"),
        good=sli.get("good"),
        lost=_first(sli, _LOST),
        wrong=sli.get("wrong_answers", outcomes.get(Outcome.WRONG_ANSWER)),
        checked=sli.get("checked_answers"),
        success_rate=sli.get("success_rate"),
        target_count=_first(sli, _TARGET),
        outcomes=outcomes,
        rest={name: value for name, value in sli.items() if name not in _KNOWN},
    )


def run_id(verdict: Verdict) -> str:
    """The name of the run; empty when it has none."""
    return str(_first(verdict.run, ("run_id", "id")) or "")


def _first(sli: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((sli[name] for name in names if name in sli), None)
