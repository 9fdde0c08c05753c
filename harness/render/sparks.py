"""Small charts of one scenario's runs, a point for each run; values on hover, shapes as well as colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from harness.model.archive import Change, RunSummary, Trend
from harness.model.verdict import VerdictOutcome
from harness.render.numbers import NOTHING, estimate_interval, percent, seconds
from harness.render.svg_text import clean
from harness.render.words import SYMBOLS

__all__ = ["SHOWN", "recovery_spark", "success_spark", "verdict_strip"]

SHOWN = 40  # runs, the latest
WIDTH, HEIGHT = 280, 58
_EDGE, _TOP, _BOTTOM = 5, 5, 5
_STEP = 7  # pixels between runs at most


def verdict_strip(trend: Trend) -> str:
    """One mark for each run: its height and its symbol say the verdict, not its colour alone."""
    runs = trend.runs[-SHOWN:]
    heights = {VerdictOutcome.PASS: 8, VerdictOutcome.FAIL: 20, VerdictOutcome.INCONCLUSIVE: 14}
    marks = []
    for index, run in enumerate(runs):
        tall = heights[run.outcome]
        shape = (
            f'<rect class="fill-{run.outcome.value}" x="{index * _STEP}" y="{22 - tall}" width="5" height="{tall}"/>'
        )
        marks.append(f"<g>{_title(_said(run, SYMBOLS[run.outcome] + ' ' + run.outcome.value))}{shape}</g>")
    last = ", ".join(f"{sum(r.outcome is o for r in runs)} {o.value}" for o in VerdictOutcome)
    return _svg((len(runs) * _STEP, 24), f"verdicts of the last {len(runs)} runs: {last}", "".join(marks))


def recovery_spark(trend: Trend) -> str:
    """Median recovery with its interval; a run whose data shows no median has no point."""

    def read(run: RunSummary) -> tuple[float | None, float | None, float | None]:
        p50 = run.recovery_s_p50
        return (None, None, None) if p50 is None else (p50.value, p50.low, p50.high)

    def said(run: RunSummary) -> str:
        p50 = run.recovery_s_p50
        if p50 is None or p50.value is None:
            return "no median"
        return f"p50 {seconds(p50.value)}, {estimate_interval('recovery_s_p50', p50)}"

    return _spark(trend, "recovery_s_p50", "median recovery", read, said)


def success_spark(trend: Trend) -> str:
    """Success rate of each whole run."""

    def read(run: RunSummary) -> tuple[float | None, float | None, float | None]:
        return run.success_rate, None, None

    return _spark(trend, "success_rate", "success rate", read, lambda run: percent(run.success_rate))


def _spark(
    trend: Trend,
    quantity: str,
    words: str,
    read: Callable[[RunSummary], tuple[float | None, float | None, float | None]],
    said: Callable[[RunSummary], str],
) -> str:
    runs = trend.runs[-SHOWN:]
    values = [read(run) for run in runs]
    known = [one for value in values for one in value if one is not None and math.isfinite(one)]
    if not known:
        return f'<span class="muted">{NOTHING}</span>'
    low, high = min(known), max(known)
    span = (high - low) or abs(high) * 0.1 or 1.0
    x = [round(_EDGE + index * _STEP, 1) for index in range(len(runs))]

    def y(value: float) -> float:
        return round(_TOP + (high - value) / span * (HEIGHT - _TOP - _BOTTOM), 1)

    marks = [_changes(trend, quantity, len(runs), x), _line([(at, y(v[0])) for at, v in zip(x, values, strict=True)
                                                             if v[0] is not None])]  # fmt: skip
    for at, (value, lower, upper), run in zip(x, values, runs, strict=True):
        if value is None:
            continue
        whisker = ""
        if lower is not None or upper is not None:
            top = 0 if upper is None else y(upper)
            bottom = HEIGHT if lower is None else y(lower)
            whisker = f'<path class="whisker" d="M{at} {top}V{bottom}"/>'
        title = _title(_said(run, said(run)))
        hit = f'<rect class="hit" x="{at - _STEP / 2}" y="0" width="{_STEP}" height="{HEIGHT}"/>'
        marks.append(f'<g class="at">{title}{hit}{whisker}<circle cx="{at}" cy="{y(value)}" r="2.2"/></g>')
    ends = [said(run) for run, value in zip(runs, values, strict=True) if value[0] is not None]
    return _svg((WIDTH, HEIGHT), f"{words} of {len(ends)} runs, from {ends[0]} to {ends[-1]}" if ends else words,
                "".join(marks))  # fmt: skip


def _changes(trend: Trend, quantity: str, shown: int, x: Sequence[float]) -> str:
    first = len(trend.runs) - shown
    here = [one for one in trend.changes if one.quantity == quantity and one.at >= first]
    return "".join(_change(one, x[one.at - first] - _STEP / 2) for one in here)


def _change(change: Change, at: float) -> str:
    title = _title(f"the level changed here (p = {change.p_value:.2g})")
    return f'<g class="change">{title}<path d="M{at} 0V{HEIGHT}"/><path class="flag" d="M{at} 0h7l-2 3 2 3h-7z"/></g>'


def _line(points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="trend" d="M{"L".join(f"{x} {y}" for x, y in points)}"/>' if len(points) > 1 else ""


def _said(run: RunSummary, what: str) -> str:
    return f"{run.begun[:16].replace('T', ' ')} {what}".strip()


def _title(words: str) -> str:
    return f"<title>{escape(clean(words))}</title>"


def _svg(size: tuple[float, float], label: str, body: str) -> str:
    quoted = escape(clean(label), {'"': "&quot;"})
    view = f'viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}"'
    return f'<svg class="spark" role="img" aria-label="{quoted}" {view}>{body}</svg>'
