"""The verdict as one HTML page that needs nothing else: no network, no script, no second file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.model.request import Outcome
from harness.model.verdict import EpisodeResult, Finding, Verdict, VerdictOutcome
from harness.render import numbers, pages, words
from harness.render.alerts import ALERT_COLUMNS, alert_cells, alert_intro
from harness.render.headline import headline
from harness.render.health_words import health_section
from harness.render.log_evidence import log_section
from harness.render.resources import resource_cells

__all__ = ["to_html"]

_RUN_WORDS = {
    "id": "run",
    "run_id": "run",
    "wall_begin": "begun",
    "duration_s": "lasted",
    "version": "harness version",
    "commit": "commit",
    "host": "host",
    "deadline_s": "deadline",
    "runs_before": "runs that this target had served before, and left as it came up",
}
ADVICE_SHOWN = 6  # the rest would be no first minute any more
_TONES = {VerdictOutcome.PASS: "pass", VerdictOutcome.FAIL: "fail", VerdictOutcome.INCONCLUSIVE: "inconclusive"}
_FINDING_ORDER = (VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS)


def to_html(verdict: Verdict) -> str:
    """The whole report. Drawing libraries are loaded here, so that importing the renderers stays cheap."""
    from harness.render import charts, palette

    worst = words.worst_first(verdict.episodes)
    values = {
        "css": pages.style("report.css", *(["health.css"] if verdict.health else [])),
        "verdict": verdict,
        "head": headline(verdict),
        "tone": _TONES[verdict.outcome],
        "worst": worst,
        "corruptions": [(e.number, words.corruption_cells(one)) for e in verdict.episodes for one in e.corruptions],
        "shown": min(len(worst), charts.EPISODES_SHOWN),
        "charts": charts.draw(verdict),
        "unsure": any(words.missing_stages(episode) for episode in worst),
        "patterns": palette.PATTERNS,
        "outcomes": _outcomes_seen(verdict),
        "marks": {mark["kind"] for mark in verdict.marks} & set(words.MARKS),
        "findings": sorted(verdict.findings, key=lambda finding: _FINDING_ORDER.index(finding.outcome)),
        "finding_tally": _tally(verdict.findings),
        "run_facts": _run_facts(verdict),
        "bin_s": _bin(verdict.series),
        "ADVICE_SHOWN": ADVICE_SHOWN,
        "log_section": log_section(verdict),
        "health_section": health_section(verdict),
        "stage": _stage,
        "resource_cells": resource_cells,
        "ALERT_COLUMNS": ALERT_COLUMNS,
        "alert_cells": alert_cells,
        "alert_intro": alert_intro,
    }
    return pages.fill("report.html.j2", values)


def _stage(episode: EpisodeResult, name: str) -> float | None:
    moment: float | None = getattr(episode.stages, f"{name}_s")
    return moment


def _outcomes_seen(verdict: Verdict) -> list[str]:
    """Outcomes that occur in the series, the good one first, in the order of the page's legend."""
    return [name.value for name in Outcome if any(verdict.series.get(name) or ())]


def _tally(findings: Sequence[Finding]) -> str:
    """1 fail, 2 pass."""
    counts = ((outcome, sum(finding.outcome is outcome for finding in findings)) for outcome in _FINDING_ORDER)
    return ", ".join(f"{n} {outcome.value}" for outcome, n in counts if n)


def _run_facts(verdict: Verdict) -> list[tuple[str, str]]:
    """What is known of the run, in words; the replay line has its own place."""
    facts = [("scenario", verdict.scenario), ("seed", verdict.seed), ("stack", verdict.stack)]
    known = [(name, verdict.run[name]) for name in _RUN_WORDS if name in verdict.run]
    other = [(name, value) for name, value in verdict.run.items() if name not in _RUN_WORDS and name != "replay"]
    for name, value in known + other:
        facts.append((_RUN_WORDS.get(name, name.replace("_", " ")), _fact(name, value)))
    return facts


def _fact(name: str, value: Any) -> str:
    if name == "duration_s" and value is not None:
        return numbers.duration(value)
    return numbers.by_name(name, value)


def _bin(series: Mapping[str, list[Any]]) -> str:
    return numbers.duration(series["bin_s"][0]) if series.get("bin_s") else numbers.NOTHING
