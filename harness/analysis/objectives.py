"""Objectives: `observe` judges what this run did, `claim` judges what the service does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.claim_tests import quantile_p, rate_p
from harness.analysis.corruption import unnoticed_s
from harness.analysis.golden import Disagreement, excess_wrong
from harness.analysis.intervals import rate, recovery_quantile
from harness.analysis.sli import eligible_of
from harness.model.request import Outcome
from harness.model.scenario import Claim, Limit, Scenario
from harness.model.verdict import EpisodeResult, Estimate, Finding, Interval, PhaseResult, VerdictOutcome, worst

__all__ = ["Measured", "objective_findings"]

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Measured:
    """What objectives are judged on."""

    episodes: Sequence[EpisodeResult]
    phases: Sequence[PhaseResult]
    success_rate: float | None
    noise_floor_ms: float | None  # p99 of the control lane
    latency_mean_s: float | None  # of all good requests
    trusted: bool  # False: the run as a whole cannot be believed
    disagreement: Disagreement | None = (
        None  # the golden answers are the target's own, and this is how it keeps to them
    )


def objective_findings(scenario: Scenario, measured: Measured) -> tuple[Finding, ...]:
    """One finding per objective of the scenario."""
    found = [_observe(name, limit, measured) for name, limit in scenario.observe.items()]
    found += [_claim(name, claim, measured) for name, claim in scenario.claim.items()]
    return tuple(found)


def _observe(name: str, limit: Limit, measured: Measured) -> Finding:
    if name in _EPISODE_VALUES:
        return _observe_episodes(name, limit, measured)
    value, note = _run_value(name, measured)
    title = f"{name} {_words(limit)}"
    if value is None:
        return Finding(f"observe.{name}", title, INCONCLUSIVE, f"{name} could not be measured: {note}")
    outcome = _side(Interval(value, value), limit)
    reason = f"{name} was {value:g}, {_asked(limit)}"
    if (
        name.endswith(("_ms_p99", "_ms_p50"))
        and measured.noise_floor_ms is not None
        and limit.max is not None
        and limit.max < measured.noise_floor_ms
    ):
        outcome = INCONCLUSIVE
        floor = f"the noise floor of generator and host, {measured.noise_floor_ms:g} ms"
        reason = f"{name}: the limit {limit.max:g} ms is below {floor}"
    if outcome is FAIL and not measured.trusted:
        outcome, reason = INCONCLUSIVE, f"{reason}; but the run cannot be believed"
    return Finding(f"observe.{name}", title, outcome, reason, {"value": value})


def _run_value(name: str, measured: Measured) -> tuple[float | None, str]:
    if name == "success_rate":
        return measured.success_rate, "no request was eligible"
    if name == "latency_mean_s":
        return measured.latency_mean_s, "no request was good"
    if name.startswith("http_error"):
        errors, eligible = _http_errors(measured.phases)
        if name == "http_errors":
            return errors, ""
        return (errors / eligible if eligible else None), "no request was eligible"
    baseline = next((phase for phase in measured.phases if phase.phase == "baseline"), None)
    if baseline is None:
        return None, "there is no baseline"
    return (
        baseline.latency_ms_p99 if name == "latency_ms_p99" else baseline.ttft_ms_p99
    ), "no request of the baseline has one"


def _http_errors(phases: Sequence[PhaseResult]) -> tuple[int, int]:
    """Requests answered with an error status, and all that count."""
    errors = sum(phase.outcomes[Outcome.HTTP_ERROR] for phase in phases)
    return errors, sum(eligible_of(phase) for phase in phases)


def _observe_episodes(name: str, limit: Limit, measured: Measured) -> Finding:
    """Every episode must keep the limit. A wrong answer always counts; other breaches need a valid episode."""
    title = f"{name} {_words(limit)} in every episode"
    if name == "wrong_answers" and (before := _wrong_before(limit, measured)):
        return Finding(f"observe.{name}", title, FAIL, before)
    judged = [(one, _judge_episode(name, limit, one, measured)) for one in measured.episodes]
    outcome = worst(each for _, (each, _) in judged)
    if not judged:
        return Finding(f"observe.{name}", title, INCONCLUSIVE, "no episode was observed")
    evidence = {f"episode {one.number}": reason for one, (_, reason) in judged[:50]}
    first, reason = next((one, reason) for one, (each, reason) in judged if each is outcome)
    if outcome is PASS:
        shown = [shown for one in measured.episodes if (shown := _value(name, one, measured)) is not None]
        top = max((v.high if v.high is not None else math.inf for v in shown), default=None)
        reason = f"{name} {_words(limit)} in {'the episode' if len(judged) == 1 else f'all {len(judged)} episodes'}"
        reason += "" if top is None else f"; the largest was {top:.4g}"
        return Finding(f"observe.{name}", title, PASS, reason, evidence)
    return Finding(f"observe.{name}", title, outcome, f"episode {first.number}: {reason}", evidence)


def _wrong_before(limit: Limit, measured: Measured) -> str:
    """Wrong answers of the baseline: users do not care that no fault was in yet."""
    baseline = next((phase for phase in measured.phases if phase.phase == "baseline"), None)
    if measured.disagreement is not None:
        return ""  # what differs then is no fault's work: it is what wrong answers are measured against
    wrong = 0 if baseline is None else baseline.outcomes[Outcome.WRONG_ANSWER]
    if limit.max is None or wrong <= limit.max:
        return ""
    return f"baseline: {wrong:,} wrong answers reached users before any fault; {_asked(limit)}"


def _value(name: str, one: EpisodeResult, measured: Measured) -> Interval | None:
    if name == "wrong_answers" and measured.disagreement is not None:
        return excess_wrong(one.wrong_answers, one.checked_answers, measured.disagreement)
    return _EPISODE_VALUES[name](one)


def _judge_episode(name: str, limit: Limit, one: EpisodeResult, measured: Measured) -> tuple[VerdictOutcome, str]:
    value, trusted = _value(name, one, measured), measured.trusted
    if value is None:
        if name in ("recovery_s", "first_good_s") and one.valid:
            return (
                (PASS, "nothing was lost")
                if limit.min is None
                else (INCONCLUSIVE, "nothing was lost, so there is no recovery")
            )
        return INCONCLUSIVE, f"{name} was not observed{'' if one.valid else f' ({one.invalid_reason})'}"
    outcome = _side(value, limit)
    shown = _SENTENCES[name].format(_span(value)) + _beyond(name, one, measured)
    if outcome is FAIL and name == "wrong_answers":
        return FAIL, f"{shown}; {_asked(limit)}"
    if not one.valid:
        return INCONCLUSIVE, f"{shown}, but {one.invalid_reason}"
    if outcome is FAIL and not trusted:
        return INCONCLUSIVE, f"{shown}, {_asked(limit)}, but the run cannot be believed"
    if outcome is INCONCLUSIVE:
        return outcome, f"{shown}: {_words(limit)} lies inside what is known"
    return outcome, shown if outcome is PASS else f"{shown}; {_asked(limit)}"


def _beyond(name: str, one: EpisodeResult, measured: Measured) -> str:
    normal = measured.disagreement
    if name != "wrong_answers" or normal is None:
        return ""
    base = f"{normal.wrong} of {normal.checked} in the baseline"
    return f" beyond its own disagreement ({one.wrong_answers} of {one.checked_answers} answers were others, {base})"


def _claim(name: str, claim: Claim, measured: Measured) -> Finding:
    estimate = _estimate(name, claim.confidence, measured)
    title = f"{name} {_words(claim)} with {claim.confidence:.0%} confidence"
    evidence: Mapping[str, Any] = {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "method": estimate.method,
        "p_value": _p_value(name, claim, measured),
    }
    if estimate.low is None and estimate.high is None:
        return Finding(f"claim.{name}", title, INCONCLUSIVE, f"{name}: {estimate.method}", evidence)
    known = Interval(0.0 if estimate.low is None else estimate.low, estimate.high)
    outcome = _side(known, claim)
    reason = f"{name} lies in {_span(known)} ({estimate.method}), {_words(claim)} was claimed"
    if outcome is FAIL and not measured.trusted:
        return Finding(f"claim.{name}", title, INCONCLUSIVE, f"{reason}; but the run cannot be believed", evidence)
    return Finding(f"claim.{name}", title, outcome, reason, evidence)


def _p_value(name: str, claim: Claim, measured: Measured) -> float | None:
    """Of the claim being false; what a catalogue of claims corrects for their number."""
    baseline = next((phase for phase in measured.phases if phase.phase == "baseline"), None)
    if name.startswith("baseline_"):
        counted = Outcome.OK if name == "baseline_success_rate" else Outcome.WRONG_ANSWER
        return None if baseline is None else rate_p(baseline.outcomes[counted], eligible_of(baseline), claim)
    return quantile_p(_sample(name, measured), _QUANTILES[name.rpartition("_")[2]], claim)


def _sample(name: str, measured: Measured) -> list[Interval | None]:
    """What a claim about a quantile is judged on: one value of each valid episode."""
    valid = [one for one in measured.episodes if one.valid]
    recovery = name.startswith("recovery_s")
    return [one.recovery_s if recovery else Interval(one.lost_requests, one.lost_requests) for one in valid]


def _estimate(name: str, confidence: float, measured: Measured) -> Estimate:
    if name in ("baseline_success_rate", "baseline_wrong_answer_rate"):
        baseline = next((phase for phase in measured.phases if phase.phase == "baseline"), None)
        if baseline is None:
            return Estimate(None, None, None, confidence, "not estimable: there is no baseline", 0)
        n = eligible_of(baseline)
        counted = Outcome.OK if name == "baseline_success_rate" else Outcome.WRONG_ANSWER
        return rate(baseline.outcomes[counted], n, confidence, one_sided=True)
    return recovery_quantile(_sample(name, measured), _QUANTILES[name.rpartition("_")[2]], confidence)


def _number(read: Callable[[EpisodeResult], float | None]) -> Callable[[EpisodeResult], Interval | None]:
    def value(one: EpisodeResult) -> Interval | None:
        number = read(one)
        return None if number is None else Interval(number, number)

    return value


_EPISODE_VALUES: Mapping[str, Callable[[EpisodeResult], Interval | None]] = {
    "recovery_s": lambda one: one.recovery_s,
    "first_good_s": lambda one: one.first_good_s,
    "lost_requests": _number(lambda one: one.lost_requests),
    "wrong_answers": _number(lambda one: one.wrong_answers),
    "silent_s": lambda one: unnoticed_s(one.corruptions),
    "truncated": _number(lambda one: one.lost.get(Outcome.TRUNCATED, 0)),
    "restarts": _number(lambda one: one.restarts),
    "detect_s": _number(lambda one: one.stages.detect_s),
    "isolate_s": _number(lambda one: one.stages.isolate_s),
    "restore_s": _number(lambda one: one.stages.restore_s),
    "verify_s": _number(lambda one: one.stages.verify_s),
}


_SENTENCES: Mapping[str, str] = {
    "recovery_s": "users had their service back after {} s",
    "first_good_s": "the first good answer after a loss came after {} s",
    "lost_requests": "users lost {} requests",
    "wrong_answers": "{} wrong answers reached users",
    "silent_s": "users were served from a damaged model, unnoticed, for {} s",
    "truncated": "{} answers broke off",
    "restarts": "the target's processes were restarted {} times",
    "detect_s": "the target noticed after {} s",
    "isolate_s": "the last request was routed there after {} s",
    "restore_s": "the replica was ready again after {} s",
    "verify_s": "traffic was admitted again after {} s",
}


def _asked(limit: Limit) -> str:
    """What the scenario asked for, beside what was found."""
    return "none is allowed" if limit.max == 0 and limit.min is None else f"{_words(limit)} was asked"


def _side(value: Interval, limit: Limit | Claim) -> VerdictOutcome:
    """On which side of the limits the whole interval lies; inconclusive when it straddles one."""
    high = math.inf if value.high is None else value.high
    if (limit.max is not None and value.low > limit.max) or (limit.min is not None and high < limit.min):
        return FAIL
    inside = (limit.max is None or high <= limit.max) and (limit.min is None or value.low >= limit.min)
    return PASS if inside else INCONCLUSIVE


def _words(limit: Limit | Claim) -> str:
    return " and ".join(_bounds(limit))


def _bounds(limit: Limit | Claim) -> Iterator[str]:
    if limit.min is not None:
        yield f"at least {limit.min:g}"
    if limit.max is not None:
        yield f"at most {limit.max:g}"


def _span(value: Interval) -> str:
    if value.high is None:
        return f"above {value.low:.4g} (not over when observation ended)"
    return f"{value.low:.4g}" if value.low == value.high else f"{value.low:.4g} to {value.high:.4g}"
