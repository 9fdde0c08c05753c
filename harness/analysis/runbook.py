"""One line of advice for each finding that is no pass: symptom, what the data points to, remedy. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from harness.analysis.remedies import INSTRUMENT, OUTCOME_REMEDIES, SILENT_ALERT, STAGE_REMEDIES, WRONG_ANSWERS
from harness.model.request import Outcome
from harness.model.verdict import Advice, EpisodeResult, Finding, VerdictOutcome

__all__ = ["advise", "longest_stage"]

STAGES = ("detect", "isolate", "restore", "verify")
_LOOK = "Look at the requests at the episode's edges: harness explain RUN EPISODE."
_MORE = "Run more episodes, or ask for what this many can show: harness plan says it before the run."


def advise(findings: Sequence[Finding], episodes: Sequence[EpisodeResult]) -> tuple[Advice, ...]:
    """Advice for every finding that is not a pass, what failed first."""
    found = [one for one in findings if one.outcome is VerdictOutcome.FAIL]
    found += [one for one in findings if one.outcome is VerdictOutcome.INCONCLUSIVE]
    return tuple(Advice(one.check, one.outcome, one.reason, *_advice(one, episodes)) for one in found)


def _advice(finding: Finding, episodes: Sequence[EpisodeResult]) -> tuple[str, str]:
    kind, _, name = finding.check.partition(".")
    if finding.check in INSTRUMENT:
        return INSTRUMENT[finding.check]
    if finding.outcome is VerdictOutcome.INCONCLUSIVE:
        too_small = "The sample is too small for the claim: its interval reaches over the limit."
        return (too_small, _MORE) if kind == "claim" else ("What was observed does not decide it.", _LOOK)
    if kind == "alerts":
        return "The fault was there, and the rule stayed silent or spoke late.", SILENT_ALERT
    for begins, read in _READERS.items():
        if name.startswith(begins):
            return read(episodes)
    if name.removesuffix("_s") in STAGE_REMEDIES:
        return f"The stage {name.removesuffix('_s')} itself took too long.", STAGE_REMEDIES[name.removesuffix("_s")]
    return "The evidence is in the finding.", _LOOK


def _slow(episodes: Sequence[EpisodeResult]) -> tuple[str, str]:
    one = _longest(episodes)
    if one is None or one.recovery_s is None:
        return "No episode shows where the time went.", _LOOK
    stage = longest_stage(one)
    open_words = " It had not recovered when observation ended." if one.recovery_s.high is None else ""
    if stage is None:
        return f"In episode {one.number} the stack reported no stage of a recovery.{open_words}", _LOOK
    name, seconds = stage
    if name == "users":
        return (
            f"In episode {one.number} the target was whole {seconds:.1f} s before users were.{open_words}",
            "Look at what keeps users away afterwards: a queue that is worked off late, connections that hang.",
        )
    cause = f"In episode {one.number} users waited longest for the stage {name}: {seconds:.1f} s of their wait."
    did = f" Supervisor: {one.supervision}." if one.supervision and name == "restore" else ""
    return cause + open_words + did, STAGE_REMEDIES[name]


def longest_stage(one: EpisodeResult) -> tuple[str, float] | None:
    """The stage that took most of what users waited, and how much in seconds; "users": after the last stage.

    A stage beside one that was not seen has no length of its own. None: nothing can be said.
    """
    if one.recovery_s is None:
        return None
    end_s = one.recovery_s.high if one.recovery_s.high is not None else one.recovery_s.low
    spent: dict[str, float] = {}
    cursor, unsure = 0.0, False
    for name in STAGES:
        moment = getattr(one.stages, f"{name}_s")
        if moment is None:
            unsure = True
            continue
        if not unsure:
            spent[name] = max(0.0, min(moment, end_s) - cursor)
        cursor, unsure = max(cursor, min(moment, end_s)), False
    if one.stages.verify_s is not None:
        spent["users"] = max(0.0, end_s - cursor)
    longest = max(spent, key=lambda name: spent[name], default=None)
    return None if longest is None or spent[longest] <= 0 else (longest, spent[longest])


def _longest(episodes: Sequence[EpisodeResult]) -> EpisodeResult | None:
    def wait(one: EpisodeResult) -> float:
        recovery = one.recovery_s
        return -1.0 if recovery is None else math.inf if recovery.high is None else recovery.high

    return max(episodes, key=wait, default=None)


def _wrong(episodes: Sequence[EpisodeResult]) -> tuple[str, str]:
    damaged = [(one, damage) for one in episodes for damage in one.corruptions]
    if not damaged:
        return "Answers differed from the golden ones, and no damage to a model was injected.", WRONG_ANSWERS
    one, damage = max(damaged, key=lambda pair: pair[0].wrong_answers)
    noticed = "no detector fired"
    if damage.detector is not None and damage.detected_s is not None:
        noticed = f"the detector {damage.detector} fired {damage.detected_s:.1f} s after the fault"
    return f"In episode {one.number}, {damage.fault}: {noticed}.", WRONG_ANSWERS


def _restarted(episodes: Sequence[EpisodeResult]) -> tuple[str, str]:
    most = max(episodes, key=lambda one: one.restarts or 0, default=None)
    did = "" if most is None or not most.supervision else f" Episode {most.number}: {most.supervision}."
    return f"Processes ended again after they had been restarted.{did}", (
        "Find what they end of in their last lines; restart with a wait that grows and an end "
        "(supervision: backoff_s, max_restarts), so that a loop is seen and not served."
    )


def _lost(episodes: Sequence[EpisodeResult], how: str | None = None) -> tuple[str, str]:
    worst = max(episodes, key=lambda one: one.lost_requests, default=None)
    if worst is None or not worst.lost:
        return "No episode shows how they were lost.", _LOOK
    outcome = how or max(worst.lost, key=lambda one: worst.lost[one])
    share = f"{worst.lost.get(outcome, 0):,} of {worst.lost_requests:,} lost in episode {worst.number}"
    cause = f"Most were {outcome.replace('_', ' ')}: {share}."
    return cause, WRONG_ANSWERS if outcome == Outcome.WRONG_ANSWER else OUTCOME_REMEDIES.get(outcome, _LOOK)


def _wrong_before(_: Sequence[EpisodeResult]) -> tuple[str, str]:
    return "Wrong answers before anything was broken: what is served is not the published model.", WRONG_ANSWERS


def _capacity(_: Sequence[EpisodeResult]) -> tuple[str, str]:
    remedy = "More replicas, a cache (replica: cache_size), larger batches (replica: batching), or fewer requests."
    return "It is slow without any fault: this is capacity, not recovery.", remedy


_READERS: Mapping[str, Callable[[Sequence[EpisodeResult]], tuple[str, str]]] = {
    "recovery_s": _slow,
    "first_good_s": _slow,
    "wrong_answers": _wrong,
    "silent_s": _wrong,
    "baseline_wrong_answer": _wrong_before,
    "restarts": _restarted,
    "latency": _capacity,
    "ttft": _capacity,
    "lost_requests": _lost,
    "success_rate": _lost,
    "baseline_success_rate": _capacity,
    "truncated": partial(_lost, how=Outcome.TRUNCATED.value),
}
"""What a failed check's name begins with -> what the data of the episodes points to."""
