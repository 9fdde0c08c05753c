"""The archive as one page: what changed, a trend for each scenario, and every run with filters. No script."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

from harness.model.archive import Archive, Change, RunSummary, Trend
from harness.model.verdict import VerdictOutcome
from harness.render.numbers import NOTHING, by_name
from harness.render.pages import fill, style
from harness.render.sparks import SHOWN, recovery_spark, success_spark, verdict_strip

__all__ = ["to_index"]

_ORDER = (VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS)
_QUANTITIES = {"recovery_s_p50": "median recovery", "success_rate": "success rate"}


def to_index(archive: Archive) -> str:
    """The whole page. Filters are style rules, so that it works from a disk and nothing in it can ever run."""
    tally = Counter(run.outcome for run in archive.runs)
    scenarios = sorted({run.scenario for run in archive.runs})
    stacks = sorted({run.stack for run in archive.runs})
    groups = sorted({run.group for run in archive.runs if run.group}, reverse=True)
    values: dict[str, Any] = {
        "css": style("report.css", "index.css"),
        "archive": archive,
        "tally": [(outcome, tally[outcome]) for outcome in _ORDER],
        "scenarios": scenarios,
        "stacks": stacks,
        "groups": groups,
        "rows": [_row(run, scenarios, stacks, groups) for run in archive.runs],
        "trends": [_trend(trend) for trend in _changed_first(archive.trends)],
        "changes": sum(len(trend.changes) for trend in archive.trends),
        "shown": SHOWN,
    }
    return fill("index.html.j2", values)


def _changed_first(trends: tuple[Trend, ...]) -> list[Trend]:
    return sorted(trends, key=lambda trend: (not trend.changes, trend.scenario, trend.stack))


def _row(run: RunSummary, scenarios: list[str], stacks: list[str], groups: list[str]) -> dict[str, Any]:
    classes = [f"o-{run.outcome.value}", f"s{scenarios.index(run.scenario)}", f"k{stacks.index(run.stack)}"]
    classes.append(f"g{groups.index(run.group)}" if run.group else "alone")
    return {
        "run": run,
        "classes": " ".join(classes),
        "link": f"{quote(run.folder)}/report.html",
        "begun": run.begun[:16].replace("T", " ") or NOTHING,
        "surprise": run.expect is not None and run.expect != run.outcome.value,
    }


def _trend(trend: Trend) -> dict[str, Any]:
    last = trend.runs[-1]
    return {
        "trend": trend,
        "last": last,
        "link": f"{quote(last.folder)}/report.html",
        "verdicts": verdict_strip(trend),
        "recovery": recovery_spark(trend),
        "success": success_spark(trend),
        "changes": [_change(trend, change) for change in trend.changes],
    }


def _change(trend: Trend, change: Change) -> dict[str, str]:
    first = trend.runs[change.at]
    name = change.quantity
    return {
        "words": f"{_QUANTITIES[name]} {by_name(name, change.before)} → {by_name(name, change.after)}",
        "since": first.begun[:16].replace("T", " ") or first.run_id,
        "commit": f", commit {first.commit}" if first.commit else "",
        "link": f"{quote(first.folder)}/report.html",
        "how": f"{change.method}, p = {change.p_value:.2g}",
    }
