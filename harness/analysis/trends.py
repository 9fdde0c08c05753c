"""Runs as trends: per scenario and stack, by time, with the runs marked at which a level changed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from harness.analysis.change_points import MIN_N, find_changes
from harness.model.archive import Archive, Change, LeftOut, RunSummary, Trend
from harness.model.verdict import VerdictOutcome

__all__ = ["ALPHA", "archive_of"]

ALPHA = 0.05  # probability of a false mark or more, shared out over all series of the index (Bonferroni)
METHOD = "Pettitt's test on ranks"


def _recovery(run: RunSummary) -> float | None:
    return None if run.recovery_s_p50 is None else run.recovery_s_p50.value


def _success(run: RunSummary) -> float | None:
    return run.success_rate


QUANTITIES: Mapping[str, Callable[[RunSummary], float | None]] = {
    "recovery_s_p50": _recovery,
    "success_rate": _success,
}


def archive_of(runs: Sequence[RunSummary], left_out: Sequence[LeftOut]) -> Archive:
    """The archive of these runs, the latest first. A run that is inconclusive is listed but moves no level."""
    by_time = sorted(runs, key=lambda run: (run.begun, run.folder))
    groups: dict[tuple[str, str], list[RunSummary]] = defaultdict(list)
    for run in by_time:
        groups[run.scenario, run.stack].append(run)
    tested = sum(len(_series(group, name)) >= MIN_N for group in groups.values() for name in QUANTITIES)
    trends = [
        Trend(scenario, stack, tuple(group), _changes(group, ALPHA / max(1, tested)))
        for (scenario, stack), group in sorted(groups.items())
    ]
    return Archive(tuple(by_time[::-1]), tuple(left_out), tuple(trends), ALPHA)


def _series(runs: Sequence[RunSummary], name: str) -> list[tuple[int, float]]:
    """(index of the run, value) of every run that can be believed and has one."""
    read = QUANTITIES[name]
    believed = [(i, read(run)) for i, run in enumerate(runs) if run.outcome is not VerdictOutcome.INCONCLUSIVE]
    return [(i, value) for i, value in believed if value is not None]


def _changes(runs: Sequence[RunSummary], alpha: float) -> tuple[Change, ...]:
    found: list[Change] = []
    for name in QUANTITIES:
        series = _series(runs, name)
        values = [value for _, value in series]
        marks = find_changes(values, alpha)
        edges = [0, *(at for at, _ in marks), len(values)]
        for number, (at, p_value) in enumerate(marks, 1):
            before, after = median(values[edges[number - 1] : at]), median(values[at : edges[number + 1]])
            found.append(Change(name, series[at][0], before, after, p_value, METHOD))
    return tuple(found)
