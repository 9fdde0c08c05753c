"""Charts that are a few shapes, written as SVG directly: latency by phase, and the error budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from harness.model.verdict import PhaseResult, Verdict
from harness.render.hover import columns, groups, titled
from harness.render.numbers import clock, count, milliseconds, percent
from harness.render.svg_text import clean

__all__ = ["budget_chart", "distribution_chart"]

_LEFT, _RIGHT = 52, 14
_ROW, _GAP = 58, 24
_CROWDED = 150  # pixels that two labels beside each other need
_PHONE = 400  # narrower than that is one


def distribution_chart(verdict: Verdict, width: int) -> str:
    """One row of columns for each phase on one logarithmic axis; each row has its own height."""
    edges = verdict.latency_by_phase.get("edges_ms", [])
    phases = [name for name in verdict.latency_by_phase if name != "edges_ms" and any(verdict.latency_by_phase[name])]
    if len(edges) < 2 or not phases:
        return ""
    low, high = math.log10(edges[0]), math.log10(edges[-1])

    def x(ms: float) -> float:
        share = (min(max(math.log10(ms), low), high) - low) / (high - low)
        return _LEFT + share * (width - _LEFT - _RIGHT)

    bottom = len(phases) * (_ROW + _GAP) + 4
    results = {one.phase: one for one in verdict.phases}
    body = "".join(_ticks(edges, x, bottom))
    for row, phase in enumerate(phases):
        counts = verdict.latency_by_phase[phase]
        body += _row(phase, (edges, counts), x, row * (_ROW + _GAP) + _GAP)
        if phase in results:
            body += "".join(_quantiles(results[phase], x, row * (_ROW + _GAP) + _GAP))
    said = "; ".join(_said(results[phase]) for phase in phases if phase in results)
    return _svg(f"distribution-{width}", (width, bottom + 22), ("Latency of good requests by phase", said), body)


def _said(one: PhaseResult) -> str:
    p50, p99 = milliseconds(one.latency_ms_p50), milliseconds(one.latency_ms_p99)
    return f"{one.phase}: median {p50}, 99th percentile {p99}"


def _row(phase: str, data: tuple[Sequence[float], Sequence[int]], x: Any, top: float) -> str:
    edges, counts = data
    most = max(counts)
    boxes = []
    shapes = ""
    for left, right, n in zip(edges, edges[1:], counts, strict=False):
        if n:
            tall = max(1.5, n / most * _ROW)
            shapes += f"M{x(left):.1f} {top + _ROW:.1f}v-{tall:.1f}H{x(right) - 0.5:.1f}v{tall:.1f}z"
            words = f"{phase}: {count(n)} requests took {milliseconds(left)} to {milliseconds(right)}"
            boxes.append((x(left), top, x(right) - x(left), float(_ROW), words))
    name = escape(clean(phase)[:16])
    axis = f'<path class="axis" d="M{_LEFT} {top + _ROW}H{x(edges[-1]):.1f}"/>'
    label = f'<text class="label" x="0" y="{top - 6}">{name}</text>'
    return f'<path class="bars" d="{shapes}"/>{axis}{label}{titled(boxes)}'


def _quantiles(one: PhaseResult, x: Any, top: float) -> Iterator[str]:
    """A dash for the median, a solid line for the 99th percentile, with their values; apart when they are close."""
    marks = [(n, v) for n, v in (("p50", one.latency_ms_p50), ("p99", one.latency_ms_p99)) if v is not None and v > 0]
    right = x(1e12)
    crowded = len(marks) == 2 and x(marks[1][1]) - x(marks[0][1]) < _CROWDED
    for name, value in marks:
        at = x(value)
        side = "end" if at > right - _CROWDED / 2 or (crowded and name == "p50") else "start"
        place = at - 3 if crowded and name == "p50" else at
        yield f'<path class="mark {name}" d="M{at:.1f} {top - 3}v{_ROW + 3}"/>'
        words = f"{name} {milliseconds(value)}"
        yield f'<text class="value" x="{place:.1f}" y="{top - 6}" text-anchor="{side}">{words}</text>'


def _ticks(edges: Sequence[float], x: Any, bottom: float) -> Iterator[str]:
    decades = range(math.floor(math.log10(edges[0])), math.ceil(math.log10(edges[-1])) + 1)
    ticks = [part * 10.0**d for d in decades for part in (1, 2, 5) if edges[0] <= part * 10.0**d <= edges[-1]]
    if len(ticks) > 8:
        ticks = [tick for tick in ticks if math.log10(tick) % 1 < 1e-9] or ticks[:1]
    for tick in ticks:
        words = f"{tick / 1000:g} s" if tick >= 1000 else f"{tick:g} ms"
        yield f'<path class="grid" d="M{x(tick):.1f} 4V{bottom}"/>'
        yield f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 13}" text-anchor="middle">{words}</text>'


def budget_chart(verdict: Verdict, width: int, height: int = 210) -> str:
    """How much of the error budget of 30 days was used by when, with the line at which somebody is paged."""
    series: Mapping[str, list[Any]] = verdict.series
    used = series.get("budget_used_share") or []
    if not used or not series.get("t_s"):
        return ""
    page = float(series["budget_page_share"][0])
    top, bottom = 18, height - (40 if width > _PHONE else 24)
    most: float = max(used[-1] * 1.15, page * 1.15 if used[-1] >= page / 5 else 0.0) or page * 1.15
    begin, end = float(series["t_s"][0]), float(series["t_s"][-1] + series["bin_s"][-1])
    across = (width - _LEFT - _RIGHT) / (end - begin)

    def y(share: float) -> float:
        assert most > 0
        return bottom - share / most * (bottom - top)

    lefts = [_LEFT + (t - begin) * across for t in series["t_s"]]
    rights = [*lefts[1:], float(width - _RIGHT)]
    line = f"M{_LEFT} {bottom}" + "".join(
        f"V{y(v):.1f}H{r:.1f}" for i, (r, v) in enumerate(zip(rights, used, strict=True)) if _turns(used, i)
    )
    body = f'<path class="area" d="{line}V{bottom}z"/><path class="line" d="{line}"/>'
    body += f'<path class="axis" d="M{_LEFT} {bottom}H{width - _RIGHT}"/>'
    body += _axis(begin, end, (width, bottom))
    body += f'<text class="tick" x="{_LEFT - 7}" y="{bottom}" text-anchor="end">0 %</text>'
    body += f'<text class="tick" x="{_LEFT - 7}" y="{y(used[-1]) + 4:.1f}" text-anchor="end">{_short(used[-1])}</text>'
    if page <= most:
        body += f'<path class="page" d="M{_LEFT} {y(page):.1f}H{width - _RIGHT}"/>'
        words = f"{_short(page)} within an hour: a page"
        body += f'<text class="value" x="{width - _RIGHT}" y="{y(page) - 5:.1f}" text-anchor="end">{words}</text>'
    if width > _PHONE:
        until = [*series["t_s"][1:], end]
        said = [
            (
                lefts[i],
                rights[j - 1],
                f"by {clock(until[j - 1], end - begin)}: {percent(used[j - 1])} of 30 days' budget",
            )
            for i, j in groups([*lefts, rights[-1]])
        ]
        body += columns(said, top, bottom - top, height - 4)
    words = f"{percent(used[-1])} of the budget of 30 days was used by the end of the run."
    return _svg(f"budget-{width}", (width, height), ("Error budget used over the run", words), body)


def _turns(values: Sequence[float], index: int) -> bool:
    """Whether a step ends here: level stretches cost two numbers."""
    return index + 1 == len(values) or values[index + 1] != values[index]


def _short(share: float) -> str:
    return f"{share * 100:.2g} %"


def _axis(begin: float, end: float, size: tuple[int, float]) -> str:
    width, bottom = size
    most = 6 if width > _PHONE else 3
    rough = (end - begin) / most
    step = next(
        (s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 86400) if s >= rough), rough
    )
    ticks = [step * n for n in range(math.ceil(begin / step), math.floor(end / step) + 1)]
    across = (width - _LEFT - _RIGHT) / (end - begin)
    return "".join(
        f'<text class="tick" x="{_LEFT + (t - begin) * across:.1f}" y="{bottom + 16}" text-anchor="middle">'
        f"{clock(t, end - begin)}</text>"
        for t in ticks
    )


def _svg(name: str, size: tuple[int, float], words: tuple[str, str], body: str) -> str:
    width, height = size
    form = "wide" if width > _PHONE else "narrow"
    title, said = (escape(clean(text)) for text in words)
    head = f'<svg class="chart plain {form}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    head += f'role="img" aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{title}</title>'
    return f'{head}<desc id="{name}-d">{said}</desc>{body}</svg>'
