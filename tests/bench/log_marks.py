"""How often are windows that the logs mark as unusual those in which a fault was, and how many faults are marked?

Real processes and injected faults, each family REPEATS times in one run. A window counts as affected from a fault's
begin until the fault has ended and the gateway has admitted the replica again, and one window more. Precision: affected
ones among the marked windows. Recall: faults of which at least one affected window is marked. What chance alone would
mark is printed beside them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.model.event import Event
from harness.model.log_evidence import LogEvidence
from harness.session import judge_folder
from harness.store.folder import RunFolder
from tests.bench.figure import Figure, Goal

REPEATS = int(os.environ.get("LOG_MARKS_REPEATS", "3"))
SLOT_S, FOR_S, BASELINE_S, RECOVERY_S = 14.0, 4.0, 40.0, 20.0
PRECISION = Goal("log_marks_precision", ">=", 0.8)
RECALL = Goal("log_marks_recall", ">=", 0.7)
GOALS = (PRECISION, RECALL)
FAULTS: Mapping[str, str] = {  # the last one takes longest to be over
    "service.hang": f"for_s: {FOR_S}",
    "service.stall_stream": f"for_s: {FOR_S}",
    "network.down": f"for_s: {FOR_S}",
    "network.http_status": f"for_s: {FOR_S}",
    "network.latency": f"for_s: {FOR_S}, latency_ms: 800",
    "network.sse_truncate": f"for_s: {FOR_S}",
    "process.kill": "",
}
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Injected:
    """One fault; seconds from the schedule's begin in which its consequences were there."""

    kind: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Row:
    """What became of one family."""

    kind: str
    faults: int
    found: int
    marked: int  # windows in its slots
    affected: int  # of those


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        evidence, injected = _run(Path(name))
    if evidence.why_not:
        raise RuntimeError(evidence.why_not)
    rows = rows_of(evidence, injected)
    marked, affected = evidence.marked_windows, _of_any(_marked(evidence), injected, evidence.window_s)
    print(table(rows), file=sys.stderr)
    first_s = evidence.baseline_windows * evidence.window_s
    everything = _windows(first_s, first_s + evidence.windows * evidence.window_s, evidence.window_s)
    share = _of_any(everything, injected, evidence.window_s) / evidence.windows
    print(f"{marked - affected} of {marked} marked windows were not affected by a fault; {evidence.by_chance:g} of "
          f"{evidence.windows} would be marked by chance; marks at random would have a precision of {share:.2f}",
          file=sys.stderr)  # fmt: skip
    faults = sum(row.faults for row in rows)
    found = sum(row.found for row in rows)
    precision = affected / marked if marked else 0.0
    return [
        PRECISION.figure(precision, f"{affected} of {marked} windows, {evidence.by_chance:g} by chance"),
        RECALL.figure(found / faults, f"{found} of {faults} faults"),
    ]


def rows_of(evidence: LogEvidence, injected: Sequence[Injected]) -> list[Row]:
    """By family, in the order of FAULTS."""
    marked, rows = _marked(evidence), []
    for kind in dict.fromkeys(one.kind for one in injected):
        of_kind = [one for one in injected if one.kind == kind]
        hits = [sum(_affected(at_s, one, evidence.window_s) for at_s in marked) for one in of_kind]
        slots = sum(any(one.begin_s - 1 <= at_s < one.begin_s + SLOT_S for one in of_kind) for at_s in marked)
        rows.append(Row(kind, len(of_kind), sum(n > 0 for n in hits), max(slots, sum(hits)), sum(hits)))
    return rows


def _marked(evidence: LogEvidence) -> list[float]:
    """Begins of the marked windows."""
    return [begin_s for mark in evidence.marks for begin_s in _windows(mark.begin_s, mark.end_s, evidence.window_s)]


def _of_any(begins_s: Sequence[float], injected: Sequence[Injected], window_s: float) -> int:
    return sum(any(_affected(at_s, one, window_s) for one in injected) for at_s in begins_s)


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'family':24} {'faults':>6} {'found':>6} {'recall':>7} {'marked':>7} {'precision':>9}"]
    for row in rows:
        precision = f"{row.affected / row.marked:9.2f}" if row.marked else f"{'–':>9}"
        recall = row.found / row.faults
        lines.append(f"{row.kind:24} {row.faults:6} {row.found:6} {recall:7.2f} {row.marked:7} {precision}")
    return "\n".join(lines)


def injected_of(events: Sequence[Event], begin_s: float) -> list[Injected]:
    """What the history says of every fault, and until when its replica was away."""
    begun = [event for event in events if event.kind == "fault_begin"]
    found = []
    for event, following in zip(begun, [*begun[1:], None], strict=True):
        until_s = event.at_s + SLOT_S + RECOVERY_S if following is None else following.at_s
        inside = [other for other in events if event.at_s < other.at_s < until_s]
        same = (event.fields["episode"], event.fields["fault"])
        ends = [o.at_s for o in inside if o.kind == "fault_end" and (o.fields["episode"], o.fields["fault"]) == same]
        ends += [other.at_s for other in inside if other.kind in ("target.readmitted", "target.isolated")]
        end_s = max(ends, default=event.at_s)
        found.append(Injected(str(event.fields["fault_kind"]), event.at_s - begin_s, end_s - begin_s))
    return found


def _windows(begin_s: float, end_s: float, window_s: float) -> list[float]:
    return [begin_s + n * window_s for n in range(round((end_s - begin_s) / window_s))]


def _affected(at_s: float, one: Injected, window_s: float) -> bool:
    return one.begin_s - window_s < at_s < one.end_s + window_s


def _run(folder: Path) -> tuple[LogEvidence, list[Injected]]:
    file, out = folder / "scenario.yaml", folder / "reports"
    file.write_text(scenario())
    model = Path(os.environ.get("HARNESS_TEST_MODEL") or _ROOT / ".model").resolve()
    command = [sys.executable, "-m", "harness.cli", "run", str(file), "--out", str(out), "--model", str(model)]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(
        [*command, "--seed", "1"], cwd=_ROOT, env=environ, capture_output=True, text=True, check=False
    )
    folders = [path.parent for path in out.glob("*/plan.json")]
    if len(folders) != 1:
        raise RuntimeError(f"no run was recorded: {done.stdout[-500:]}{done.stderr[-500:]}")
    run = RunFolder(folders[0])
    verdict, history = judge_folder(run), run.read()
    if verdict.log_evidence is None:
        raise RuntimeError("the run has no logs")
    return verdict.log_evidence, injected_of(history.events, float(verdict.run["schedule_begin_s"]))


def scenario() -> str:
    """Every family after the other, far enough apart for its consequences to be over."""
    faults = "".join(
        f"  - {{kind: {kind}, on: primary, at_s: {n * SLOT_S:g}{', ' + how if how else ''}}}\n"
        for n, (kind, how) in enumerate(FAULTS.items())
    )
    return (
        "name: log-marks\nload: {rate_per_s: 15, deadline_s: 2, mix: {chat_stream: 0.5, chat: 0.5}}\n"
        f"phases: {{baseline_s: {BASELINE_S:g}, recovery_s: {RECOVERY_S:g}}}\nepisodes: {REPEATS}\nfaults:\n{faults}"
    )
