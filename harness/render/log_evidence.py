"""What the logs point to, in words and as a section of the report: never as a verdict."""

from __future__ import annotations

from harness.model.log_evidence import LogEvidence
from harness.model.verdict import Verdict
from harness.render import pages
from harness.render.numbers import count, seconds

__all__ = ["HIT_COLUMNS", "hit_cells", "log_section", "unusual_words"]

HIT_COLUMNS = ("rule", "log", "from", "to", "lines", "first line")
HITS_SHOWN, MARKS_SHOWN = 30, 30


def log_section(verdict: Verdict) -> str:
    """A section of the page, everything escaped; empty without logs."""
    found = verdict.log_evidence
    if found is None:
        return ""
    values = {
        "found": found,
        "words": unusual_words(found),
        "columns": HIT_COLUMNS,
        "hits": hit_cells(found)[:HITS_SHOWN],
        "marks": found.marks[:MARKS_SHOWN],
        "left_out": max(0, len(found.hits) - HITS_SHOWN),
        "marks_left_out": max(0, len(found.marks) - MARKS_SHOWN),
    }
    return pages.fill("log_evidence.html.j2", values)


def unusual_words(found: LogEvidence) -> str:
    """How many windows are unusual, and how many would be by chance; or why nobody can tell."""
    if found.why_not:
        return f"Which windows of the logs are unusual: {found.why_not}."
    compared = f"of {count(found.windows)} windows of {found.window_s:g} s after the baseline"
    if not found.marked_windows:
        return f"None {compared} is less usual than every one of the baseline's {count(found.baseline_windows)}."
    return (
        f"{count(found.marked_windows)} {compared} are less usual than every one of the baseline's "
        f"{count(found.baseline_windows)}; about {found.by_chance:g} would be by chance alone."
    )


def hit_cells(found: LogEvidence) -> list[tuple[str, ...]]:
    """A row for each time a rule held."""
    return [
        (one.rule, one.source, seconds(one.begin_s), seconds(one.end_s), count(one.lines), one.example)
        for one in found.hits
    ]
