"""What changed between two runs, and whether the data can tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from harness.analysis.differences import difference_of_latency, difference_of_rates, shift_of_times
from harness.analysis.frame import OUTCOMES, RunFrame, make_frame
from harness.analysis.sli import eligible_of
from harness.model.archive import Comparison, Difference, RunSummary
from harness.model.history import History
from harness.model.request import Outcome
from harness.model.verdict import EpisodeResult, Estimate, Interval, Verdict

__all__ = ["compare"]

Run = tuple[RunSummary, Verdict, History]
_OK = OUTCOMES.index(Outcome.OK)
_STAGES = ("detect_s", "isolate_s", "restore_s", "verify_s")
_UNSAID = ("file", "lines")  # of a scenario: where it was written, not what it says
_NOT_SETTINGS = ("seed", "commit", "version", "name", "hypothesis", "expect")


def compare(a: Run, b: Run) -> Comparison:
    """Every quantity of both, B minus A. The verdicts are those in the folders, made by one version of the rules."""
    differences = tuple(_differences(a, b))
    plan = tuple(_plan(a, b))
    return Comparison(a[0], b[0], plan, differences, _headline(a[0], b[0], differences), tuple(_limits(a, b, plan)))


def _headline(a: RunSummary, b: RunSummary, differences: Sequence[Difference]) -> str:
    verdict = f"both {a.outcome}" if a.outcome is b.outcome else f"{a.outcome} became {b.outcome}"
    told = [f"{one.quantity} is {one.says}" for one in differences if one.says != "cannot tell"]
    unknown = len(differences) - len(told)
    said = f"B's {', '.join(told)}" if told else "no quantity differs by more than the data can tell"
    return f"{verdict}; {said}" + (f"; of {unknown} others the data cannot tell" if told and unknown else "")


def _differences(a: Run, b: Run) -> Iterator[Difference]:
    (_, va, ha), (_, vb, hb) = a, b
    recoveries = [[_recovered(one) for one in v.episodes if one.valid] for v in (va, vb)]
    p50s = [_value(v.estimates.get("recovery_s_p50")) for v in (va, vb)]
    yield _difference("recovery_s", (p50s[0], p50s[1]), shift_of_times(*recoveries))
    lost = [[float(one.lost_requests) for one in v.episodes if one.valid] for v in (va, vb)]
    yield _episodes("lost_requests", lost)
    for stage in _STAGES:
        found = [[s for e in v.episodes if e.valid and (s := getattr(e.stages, stage)) is not None] for v in (va, vb)]
        if all(found):
            yield _episodes(stage, found)
    yield _baseline_rate(va, vb)
    yield from _latencies(va, vb, (make_frame(ha), make_frame(hb)))


def _recovered(one: EpisodeResult) -> Interval:
    """Nothing lost is recovered at once."""
    return Interval(0.0, 0.0) if one.recovery_s is None else one.recovery_s


def _episodes(name: str, values: Sequence[Sequence[float]]) -> Difference:
    """Of one number per episode. What is shown of each run is the median."""
    shown = [float(np.median(side)) if side else None for side in values]
    by = shift_of_times(*([Interval(v, v) for v in side] for side in values))
    return _difference(f"{name} per episode" if name == "lost_requests" else name, (shown[0], shown[1]), by)


def _baseline_rate(va: Verdict, vb: Verdict) -> Difference:
    counts = []
    for verdict in (va, vb):
        phase = next((one for one in verdict.phases if one.phase == "baseline"), None)
        counts.append((0, 0) if phase is None else (phase.outcomes[Outcome.OK], eligible_of(phase)))
    rates = [good / n if n else None for good, n in counts]
    return _difference("baseline success_rate", (rates[0], rates[1]), difference_of_rates(*counts))


def _latencies(va: Verdict, vb: Verdict, frames: tuple[RunFrame, RunFrame]) -> Iterator[Difference]:
    for phase in ("baseline", "fault", "recovery"):
        sides = [_good_ms(frame, phase) for frame in frames]
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            shown = [_phase_value(v, phase, f"latency_ms_{name}") for v in (va, vb)]
            if shown == [None, None]:
                continue
            by = difference_of_latency(sides[0], sides[1], quantile)
            yield _difference(f"{phase} latency_ms_{name}", (shown[0], shown[1]), by)


def _good_ms(frame: RunFrame, phase: str) -> np.ndarray[Any, Any]:
    users = frame.of_phase(phase)
    return np.asarray(users["latency_s"].to_numpy()[users["code"].to_numpy() == _OK] * 1000)


def _phase_value(verdict: Verdict, phase: str, name: str) -> float | None:
    return next((getattr(one, name) for one in verdict.phases if one.phase == phase), None)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _difference(name: str, values: tuple[Any, Any], by: Estimate) -> Difference:
    return Difference(name, values[0], values[1], by, _says(by))


def _says(by: Estimate) -> Literal["higher", "lower", "cannot tell"]:
    if by.low is not None and by.low > 0:
        return "higher"
    return "lower" if by.high is not None and by.high < 0 else "cannot tell"


def _plan(a: Run, b: Run) -> Iterator[tuple[str, str, str]]:
    """What was set up otherwise: the scenario key by key, seed, stack, what the target was, and what it ran on."""
    sides = []
    for _, verdict, history in (a, b):
        scenario = {key: value for key, value in asdict(history.plan.scenario).items() if key not in _UNSAID}
        around = {name: verdict.run.get(name) for name in ("version", "commit", "host")}
        sides.append(
            dict(_flat("", scenario))
            | {"seed": verdict.seed, "stack": verdict.stack}
            | dict(_flat("target", dict(history.plan.target)))
            | dict(_flat("environment", dict(history.plan.environment)))
            | {name: "–" if value is None else str(value) for name, value in around.items()}
        )
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        left, right = (side.get(key, "–") for side in sides)
        if left != right:
            yield key, left, right


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    items: list[tuple[str, Any]]
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        yield prefix, "–" if value is None else str(value)
        return
    for key, item in items:
        yield from _flat(f"{prefix}.{key}" if prefix else key, item)


def _limits(a: Run, b: Run, plan: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield (
        "Intervals hold what varies within a run. What varies between runs of the same setting (the host, its "
        "neighbours) is not in two runs: repeat each, alternating, before you act on a small difference."
    )
    if a[1].scenario != b[1].scenario:
        yield f"These are two scenarios, {a[1].scenario} and {b[1].scenario}: their episodes are different things."
    changed = [key for key, _, _ in plan if key not in _NOT_SETTINGS]
    if len(changed) > 1:
        yield f"{len(changed)} settings differ: which of them made a difference is not in this data."
    for name, (_, verdict, _) in (("A", a), ("B", b)):
        doubtful = [one.number for one in verdict.episodes if not one.valid]
        if doubtful:
            yield f"{len(doubtful)} of {len(verdict.episodes)} episodes of {name} prove nothing and were left out."
