"""A run's logs as evidence beside its verdict: read once, as a stream, for rules and for windows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.model.history import History
from harness.model.log_evidence import LogEvidence
from harness.model.verdict import Verdict
from harness.store.folder import RunFolder
from harness.store.log_lines import StackLogs

__all__ = ["log_evidence", "with_log_evidence"]


def with_log_evidence(verdict: Verdict, folder: RunFolder, history: History) -> Verdict:
    """The verdict with what the logs say beside it; its outcome and findings are untouched."""
    found = log_evidence(verdict, folder, history)
    if found is None:
        return verdict
    marks = tuple({"kind": "unusual", "begin_s": one.begin_s, "end_s": one.end_s} for one in found.marks)
    return replace(verdict, log_evidence=found, marks=(*verdict.marks, *marks))


def log_evidence(verdict: Verdict, folder: RunFolder, history: History) -> LogEvidence | None:
    """None: the run has no logs."""
    from harness.analysis.log_forest import evidence_of
    from harness.analysis.log_rules import BUILT_IN, RuleWatch
    from harness.analysis.log_windows import LogWindows, window_length_s

    logs = StackLogs(folder.stack, history.header)
    if not logs.any:
        return None
    begin_s, length_s = float(verdict.run["schedule_begin_s"]), float(verdict.run["duration_s"])
    windows = LogWindows(begin_s, length_s, _baseline_s(verdict.marks), window_length_s(length_s))
    rules = RuleWatch((*BUILT_IN, *history.plan.scenario.log_rules), begin_s, begin_s + length_s)
    for record in logs.lines():
        windows.add(record)
        rules.add(record)
    found = evidence_of(windows, zlib.crc32(verdict.seed.encode()))
    hits, notes = rules.found(), list(logs.notes)
    if rules.left_out:
        notes.append(f"{rules.left_out:,} more times a rule held are left out")
    return replace(found, hits=hits, notes=tuple(notes))


def _baseline_s(marks: tuple[Mapping[str, Any], ...]) -> float:
    """The end of the first phase, if that is the baseline: what follows a fault is no baseline any more."""
    ends = [float(mark["end_s"]) for mark in marks if mark["kind"] == "phase" and mark["begin_s"] <= 0.001]
    faults = [float(mark["begin_s"]) for mark in marks if mark["kind"] == "fault"]
    return min([*ends[:1], *faults], default=0.0)
