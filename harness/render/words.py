"""The words for outcomes, stages and marks: one meaning each, in every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.model.request import COUNTED_OUTSIDE_SLI, Outcome
from harness.model.verdict import Corruption, EpisodeResult, VerdictOutcome
from harness.render.numbers import count, interval, seconds

__all__ = ["BAD_OUTCOMES", "MARKS", "OUTCOMES", "STAGES", "SYMBOLS", "corruption_cells", "lost_words",
           "missing_stages", "worst_first"]  # fmt: skip

SYMBOLS: Mapping[VerdictOutcome, str] = {
    VerdictOutcome.PASS: "✓",
    VerdictOutcome.FAIL: "✕",
    VerdictOutcome.INCONCLUSIVE: "?",
}

OUTCOMES: Mapping[str, str] = {
    Outcome.OK: "good",
    Outcome.WRONG_ANSWER: "wrong answer",
    Outcome.HTTP_ERROR: "HTTP error",
    Outcome.REFUSED: "refused or reset",
    Outcome.TIMEOUT: "no byte by the deadline",
    Outcome.DEADLINE_MISSED: "unfinished at the deadline",
    Outcome.TRUNCATED: "broken off mid-answer",
    Outcome.NOT_SENT: "not sent by the generator",
    Outcome.IN_FLIGHT_AT_END: "in flight at the end",
}

BAD_OUTCOMES: tuple[str, ...] = (
    Outcome.WRONG_ANSWER,
    Outcome.HTTP_ERROR,
    Outcome.REFUSED,
    Outcome.TIMEOUT,
    Outcome.DEADLINE_MISSED,
    Outcome.TRUNCATED,
)

_NOT_LOST = COUNTED_OUTSIDE_SLI | {Outcome.OK}

STAGES: tuple[tuple[str, str], ...] = (
    ("detect", "first missed beat, open breaker, or ejection"),
    ("isolate", "last request routed to it"),
    ("restore", "says that it is ready"),
    ("verify", "traffic admitted again"),
)

MARKS: Mapping[str, str] = {"detect": "▼", "isolate": "◆", "restore": "▲", "verify": "●", "recovered": "★"}


def lost_words(lost: Mapping[str, int]) -> str:
    """512 refused or reset, 9 broken off mid-answer: what was lost, the most first; empty when nothing was."""
    parts = sorted(
        ((n, name) for name, n in lost.items() if n and name not in _NOT_LOST), key=lambda part: (-part[0], part[1])
    )
    return ", ".join(f"{count(n)} {_noun(name, n)}" for n, name in parts)


def _noun(name: str, n: int) -> str:
    words = OUTCOMES.get(name, name)
    return f"{words}s" if n != 1 and name in (Outcome.WRONG_ANSWER, Outcome.HTTP_ERROR) else words


def worst_first(episodes: Sequence[EpisodeResult]) -> list[EpisodeResult]:
    """Episodes in the order in which a reader wants them: never recovered, then the longest, then the most lost."""

    def badness(episode: EpisodeResult) -> tuple[float, float, int, int]:
        recovery = episode.recovery_s
        if recovery is None:
            return (0.0, 0.0, -episode.lost_requests, episode.number)
        high = float("inf") if recovery.high is None else recovery.high
        return (-high, -recovery.low, -episode.lost_requests, episode.number)

    return sorted(episodes, key=badness)


def missing_stages(episode: EpisodeResult) -> list[str]:
    """The stages of the recovery that the stack could not show."""
    return [name for name, _ in STAGES if getattr(episode.stages, f"{name}_s") is None]


_ENDS: Mapping[str | None, str] = {
    "detector": "until the detector fired",
    "isolation": "until the gateway isolated it",
    "inverse": "until the harness restored the files",
    None: "to the end of the run",
}


def corruption_cells(one: Corruption) -> tuple[str, str, str]:
    """What was damaged; which detector fired, and when; how long users were served from it before that."""
    fired = "none fired" if one.detector is None else f"{one.detector}, {seconds(one.detected_s)} after the fault"
    if one.silent_s is None:
        return one.fault, fired, f"not shown: {one.served}"
    silent = interval(one.silent_s).replace(" (not recovered by the end)", "")
    return one.fault, fired, f"{silent} {_ENDS[one.ended_by]} ({one.served})"
