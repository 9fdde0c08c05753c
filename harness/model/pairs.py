"""Control pairs: the same scenario on a fragile and on a hardened target, and whether its verdict tells them apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.expectation import Expectation, Half
from harness.model.verdict import Finding, Verdict, VerdictOutcome

__all__ = [
    "CatalogueClaim",
    "HalfResult",
    "PairResult",
    "PairsReport",
    "UsersLost",
    "as_data",
    "half_result",
    "not_run",
]


@dataclass(frozen=True)
class HalfResult:
    """One half of a pair."""

    half: Half
    outcome: VerdictOutcome | None  # None: there is no verdict, and `reason` says why
    reason: str  # the verdict's sentence
    met: bool  # what the file says must happen did, and for the stated reason
    why: str  # in a sentence when it did not
    seconds: float  # from its start to its verdict, wall time
    lost: int = 0
    eligible: int = 0
    wrong_answers: int = 0
    replay: str = ""
    report: str = ""  # path of its report.html
    findings: tuple[Finding, ...] = ()  # of its claims


@dataclass(frozen=True)
class PairResult:
    """Both halves of a scenario."""

    scenario: str
    file: str
    group: str  # folder that the file lies in
    hypothesis: str
    fragile: HalfResult
    hardened: HalfResult

    @property
    def halves(self) -> tuple[HalfResult, HalfResult]:
        return self.fragile, self.hardened

    @property
    def discriminates(self) -> bool:
        """Fragile failed for the stated reason, hardened passed."""
        return all(half.met for half in self.halves)

    @property
    def inconclusive(self) -> bool:
        """It does not discriminate, and only because a half could not tell."""
        open_ones = (None, VerdictOutcome.INCONCLUSIVE)
        return not self.discriminates and all(half.met or half.outcome in open_ones for half in self.halves)

    @property
    def sentence(self) -> str:
        """What is wrong with the pair; empty when it discriminates."""
        return "; ".join(f"{half.half}: {half.why}" for half in self.halves if not half.met)


@dataclass(frozen=True)
class UsersLost:
    """What users lost over many runs together."""

    lost: int
    eligible: int
    wrong_answers: int


@dataclass(frozen=True)
class CatalogueClaim:
    """A claim of one scenario among those of the whole catalogue."""

    scenario: str
    claim: str
    p_value: float  # chance of data as good as this if the claim were false
    alone: bool  # it holds at its own confidence
    holds: bool  # it holds when all claims of the catalogue are to hold together (Holm)


@dataclass(frozen=True)
class PairsReport:
    """The table of a catalogue."""

    stack: str
    seed: str
    pairs: tuple[PairResult, ...]
    seconds: float  # of all runs together, wall time
    claims: tuple[CatalogueClaim, ...] = ()
    confidence: float = 0.95  # with which all claims that hold do so together
    runs: int = 0  # that have ended, of two a pair
    cut_off: bool = False  # they were not all
    without: tuple[str, ...] = ()  # files that say nothing of one half or of both

    @property
    def discriminating(self) -> int:
        """How many pairs tell fragile from hardened."""
        return sum(pair.discriminates for pair in self.pairs)

    def users_on(self, half: Half) -> UsersLost:
        """What users lost on all targets of that half together."""
        halves = [one for pair in self.pairs for one in pair.halves if one.half == half]
        return UsersLost(
            sum(one.lost for one in halves),
            sum(one.eligible for one in halves),
            sum(one.wrong_answers for one in halves),
        )

    @property
    def outcome(self) -> VerdictOutcome:
        """Fail when a pair tells the wrong thing, inconclusive when one could not tell or was not run."""
        if any(not pair.discriminates and not pair.inconclusive for pair in self.pairs):
            return VerdictOutcome.FAIL
        whole = not self.cut_off and bool(self.pairs)
        return VerdictOutcome.PASS if whole and self.discriminating == len(self.pairs) else VerdictOutcome.INCONCLUSIVE


def half_result(half: Half, known: Expectation, verdict: Verdict, *, seconds: float, report: str) -> HalfResult:
    """What a verdict says of a half of which this was known."""
    why = _why_not(half, known, verdict)
    sli = verdict.sli
    return HalfResult(
        half,
        verdict.outcome,
        verdict.reason,
        not why,
        why,
        seconds,
        int(sli["lost"]),
        int(sli["eligible"]),
        int(sli["wrong_answers"]),
        str(verdict.run.get("replay", "")),
        report,
        tuple(one for one in verdict.findings if one.check.startswith("claim.")),
    )


def not_run(half: Half, reason: str, seconds: float = 0.0) -> HalfResult:
    """A half without a verdict."""
    return HalfResult(half, None, reason, False, f"there is no verdict: {reason}", seconds)


def _why_not(half: Half, known: Expectation, verdict: Verdict) -> str:
    if verdict.outcome is VerdictOutcome.INCONCLUSIVE:
        return f"inconclusive: {verdict.reason}"
    if verdict.outcome.value == known.outcome:
        return _other_reason(known.because, verdict.findings)
    if half == "fragile":
        return "it passes without any protection, so the scenario finds nothing: a defect of the scenario"
    return f"it fails with every protection on: {verdict.reason}"


def _other_reason(because: str | None, findings: Sequence[Finding]) -> str:
    if because is None:
        return ""
    names = (f"observe.{because}", f"claim.{because}")
    if any(one.check in names and one.outcome is VerdictOutcome.FAIL for one in findings):
        return ""
    broken = ", ".join(one.check.partition(".")[2] for one in findings if one.outcome is VerdictOutcome.FAIL)
    return f"it fails because of {broken}, not of {because} as its file says: a defect of the scenario"


def as_data(report: PairsReport) -> dict[str, Any]:
    """The report as plain data, with what its properties say."""
    data = dataclasses.asdict(report)
    data |= {"outcome": report.outcome, "discriminating": report.discriminating}
    for one, pair in zip(data["pairs"], report.pairs, strict=True):
        one |= {"discriminates": pair.discriminates, "sentence": pair.sentence}
    return data
