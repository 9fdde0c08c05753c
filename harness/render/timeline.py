"""What users saw over time: requests by outcome, and latency, with phases, fault windows and recoveries marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.model.request import Outcome
from harness.model.verdict import Verdict
from harness.render.hover import columns, groups
from harness.render.numbers import clock, count, milliseconds
from harness.render.palette import paint
from harness.render.svg import Canvas, Outline, add_boxes, add_lines, add_outlines, add_text, blank_axes, clean, to_svg
from harness.render.words import BAD_OUTCOMES, OUTCOMES

__all__ = ["HEIGHT_WIDE", "STACK_ORDER", "latency_chart", "requests_chart"]

STACK_ORDER: tuple[str, ...] = (*BAD_OUTCOMES, Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END, Outcome.OK)

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 50, 24
_WORDS = 20  # below the axis, for what is under the pointer; on a phone there is none
HEIGHT_WIDE = 270 + _WORDS
_ROOM = 50  # for the marks of one recovery, in pixels
_LETTER = 5.6  # width of an average letter of the small text, in pixels
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
_MARKERS = {"detect": "v", "isolate": "D", "restore": "^", "verify": "o", "recovered": "*"}


@dataclass(frozen=True)
class _Frame:
    """The time axis of both charts, so that they line up."""

    begin: float
    end: float
    width: float  # of the plot, in pixels
    height: float

    def pixels(self, begin: float, end: float) -> float:
        return (end - begin) / (self.end - self.begin) * self.width

    def above(self, pixels: float) -> float:
        """The height of something so many pixels above the plot, where the plot is 0 to 1."""
        return 1 + pixels / self.height


def requests_chart(verdict: Verdict, canvas: Canvas) -> str:
    """Counts per bin by outcome: what was lost stands on the axis, what was good on top of it."""
    figure, axes, frame = _begin(verdict, canvas)
    edges = _edges(verdict.series)
    base = [0.0] * (len(edges) - 1)
    for name in STACK_ORDER:
        counts = verdict.series.get(name)
        if counts is None or not any(counts):
            continue
        top = [low + (n or 0) for low, n in zip(base, counts, strict=True)]
        add_outlines(
            axes, _silhouette(edges, base, top), paint(name), zorder=2, alpha=0.72 if name == Outcome.OK else None
        )
        base = top
    highest = max(base) or 1.0
    ticks = [tick for tick in _round_ticks(highest) if tick <= highest]
    axes.set_ylim(0, highest * 1.04)
    _y_axis(axes, frame, [(tick, f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}") for tick in ticks])
    _decorate(axes, frame, verdict)
    overlay = _under_pointer(verdict.series, frame, canvas, _requests_words)
    return to_svg(figure, canvas, "Requests over time by outcome", _fault_sentence(verdict), overlay)


def latency_chart(verdict: Verdict, canvas: Canvas) -> str:
    """Median and 99th percentile of good requests per bin, on a logarithmic axis, with the deadline."""
    figure, axes, frame = _begin(verdict, canvas)
    edges = _edges(verdict.series)
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    deadline_s = verdict.run.get("deadline_s")
    seen = [] if deadline_s is None else [deadline_s * 1000]
    for name, width in (("p50", 1.2), ("p99", 1.8)):
        values = verdict.series.get(f"latency_ms_{name}", [])
        seen += [value for value in values if value]
        _line(axes, middles, values, {"color": paint(name), "linewidth": width, "zorder": 3})
    low, high = min(seen, default=1.0) / 1.25, max(seen, default=1000.0) * 1.35
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(low, high)
    _y_axis(
        axes,
        frame,
        [(tick, f"{tick / 1000:g} s" if tick >= 1000 else milliseconds(tick)) for tick in _log_ticks(low, high)],
    )
    if deadline_s is not None:
        line = (frame.begin, deadline_s * 1000, frame.end, deadline_s * 1000)
        add_lines(axes, [line], paint("ink"), linewidth=1, linestyle=(0, (5, 3)), zorder=2.5)
        add_text(axes, (frame.end, deadline_s * 1080), "deadline", color=paint("ink"), ha="right", va="bottom")
    _decorate(axes, frame, verdict)
    words = "Median and 99th percentile per bin. " + _fault_sentence(verdict)
    overlay = _under_pointer(verdict.series, frame, canvas, _latency_words)
    return to_svg(figure, canvas, "Latency over time", words, overlay)


def _under_pointer(
    series: Mapping[str, list[Any]],
    frame: _Frame,
    canvas: Canvas,
    words: Callable[[Mapping[str, list[Any]], slice], str],
) -> str:
    """What each bin, or the few that share a column, says when the pointer is on it."""
    if not canvas.wide:
        return ""
    edges, span = _edges(series), frame.end - frame.begin
    places, bins = [_LEFT + frame.pixels(frame.begin, at) for at in edges], []
    for begin, stop in groups(places):
        times = f"{clock(edges[begin], span)} to {clock(edges[stop], span)}"
        bins.append((places[begin], places[stop], f"{times}: {words(series, slice(begin, stop))}"))
    return columns(bins, _TOP, frame.height, canvas.height - 4)


def _requests_words(series: Mapping[str, list[Any]], bins: slice) -> str:
    seen = [(name, sum(n or 0 for n in series[name][bins])) for name in reversed(STACK_ORDER) if name in series]
    return ", ".join(f"{n} {OUTCOMES[name]}" for name, n in seen if n) or "no request was due"


def _latency_words(series: Mapping[str, list[Any]], bins: slice) -> str:
    """Of several bins the highest of each: percentiles cannot be added up."""
    found = (series.get(f"latency_ms_{name}", [])[bins] for name in ("p50", "p99"))
    p50, p99 = ([value for value in values if value is not None] for values in found)
    if not p50:
        return "no good request"
    most = "at most " if len(p50) > 1 else ""
    return f"median {most}{milliseconds(max(p50))}, 99th percentile {most}{milliseconds(max(p99, default=None))}"


def _begin(verdict: Verdict, canvas: Canvas) -> tuple[Figure, Axes, _Frame]:
    figure = canvas.figure()
    bottom = _BOTTOM + (_WORDS if canvas.wide else 0)
    axes = blank_axes(figure, canvas, (_LEFT, _TOP, _RIGHT, bottom))
    edges = _edges(verdict.series)
    frame = _Frame(edges[0], edges[-1], canvas.width - _LEFT - _RIGHT, canvas.height - _TOP - bottom)
    axes.set_xlim(frame.begin, frame.end)
    return figure, axes, frame


def _edges(series: Mapping[str, list[Any]]) -> list[float]:
    return [*series["t_s"], series["t_s"][-1] + series["bin_s"][-1]]


def _silhouette(edges: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Iterator[Outline]:
    """One outline for each unbroken run of bins that hold something; level stretches cost two points."""
    index = 0
    while index < len(low):
        stop = index
        while stop < len(low) and high[stop] > low[stop]:
            stop += 1
        if stop > index:
            yield _steps(edges, high, index, stop) + _steps(edges, low, index, stop)[::-1]
        index = stop + 1


def _steps(edges: Sequence[float], level: Sequence[float], begin: int, stop: int) -> Outline:
    points = [(edges[begin], level[begin])]
    for at in range(begin + 1, stop):
        if level[at] != level[at - 1]:
            points += [(edges[at], level[at - 1]), (edges[at], level[at])]
    return [*points, (edges[stop], level[stop - 1])]


def _line(axes: Axes, xs: Sequence[float], values: Sequence[float | None], style: Mapping[str, Any]) -> None:
    """A line that is broken where there is no value; a value between two gaps is a dot."""
    ys = numpy.array([math.nan if value is None else value for value in values], dtype=float)
    if not len(ys):
        return
    axes.plot(xs, ys, solid_joinstyle="round", **style)
    empty = numpy.concatenate(([True], numpy.isnan(ys), [True]))
    alone = ~empty[1:-1] & empty[:-2] & empty[2:]
    if alone.any():
        axes.plot(numpy.array(xs)[alone], ys[alone], linestyle="none", marker="o", markersize=3, color=style["color"])


def _y_axis(axes: Axes, frame: _Frame, ticks: Sequence[tuple[float, str]]) -> None:
    add_lines(axes, [(frame.begin, at, frame.end, at) for at, _ in ticks], paint("grid"), linewidth=0.8, zorder=1)
    for at, words in ticks:
        place = (-7 / frame.width, at)
        add_text(axes, place, words, axes.get_yaxis_transform(), color=paint("muted"), ha="right")


def _decorate(axes: Axes, frame: _Frame, verdict: Verdict) -> None:
    """The time axis, and everything that happened: phases, fault windows, the stages of each recovery."""
    most = 10 if frame.width > 600 else 4
    span = frame.end - frame.begin
    step = next((step for step in _STEPS if span / step <= most), _STEPS[-1] * math.ceil(span / _STEPS[-1] / most))
    across = axes.get_xaxis_transform()
    tick: float = math.ceil(frame.begin / step) * step
    while tick <= frame.end:
        side = (
            "right"
            if frame.pixels(tick, frame.end) < 12
            else "left"
            if frame.pixels(frame.begin, tick) < 12
            else "center"
        )
        add_text(axes, (tick, frame.above(-14) - 1), clock(tick, span), across, color=paint("muted"), ha=side)
        tick += step
    add_lines(
        axes, [(frame.begin, 0, frame.end, 0)], paint("muted"), transform=across, linewidth=1, zorder=4, clip_on=False
    )
    _phases(axes, frame, [mark for mark in verdict.marks if mark["kind"] == "phase"])
    _faults(axes, frame, [mark for mark in verdict.marks if mark["kind"] == "fault"])
    _unusual(axes, frame, [mark for mark in verdict.marks if mark["kind"] == "unusual"])
    for kind, shape in _MARKERS.items():
        moments = [mark["begin_s"] for mark in verdict.marks if mark["kind"] == kind]
        if moments and (kind == "recovered" or len(moments) * _ROOM < frame.width):
            size = 8 if shape == "*" else 5
            style: dict[str, Any] = {
                "marker": shape,
                "markersize": size,
                "markeredgewidth": 0,
                "zorder": 5,
                "clip_on": False,
            }
            style |= {"color": paint("ink"), "linestyle": "none", "transform": across}
            axes.plot(moments, [frame.above(7)] * len(moments), **style)


def _phases(axes: Axes, frame: _Frame, phases: Sequence[Mapping[str, Any]]) -> None:
    across = axes.get_xaxis_transform()
    begins = [(mark["begin_s"], 0, mark["begin_s"], 1) for mark in phases if mark["begin_s"] > frame.begin]
    if len(begins) * _ROOM / 3 < frame.width:
        add_lines(axes, begins, paint("muted"), transform=across, linewidth=0.7, linestyle=(0, (1, 2)), zorder=2.4)
    for mark in phases:
        words = clean(str(mark["label"]))
        if frame.pixels(mark["begin_s"], mark["end_s"]) > len(words) * _LETTER + 4:
            add_text(axes, (mark["begin_s"], frame.above(38)), words, across, color=paint("muted"))


def _faults(axes: Axes, frame: _Frame, faults: Sequence[Mapping[str, Any]]) -> None:
    """Shaded windows; the label is the longest of full, number, nothing that fits before the next window."""
    across = axes.get_xaxis_transform()
    add_boxes(axes, [(f["begin_s"], 0, f["end_s"], 1) for f in faults], paint("fault"), transform=across, zorder=0.5)
    begins = [mark["begin_s"] for mark in faults]
    edges = [(at, 0, at, 1) for at in begins]
    add_lines(axes, edges, paint("fault-edge"), transform=across, linewidth=1.2, zorder=2.6)
    for mark, following in zip(faults, [*begins[1:], frame.end], strict=False):
        number = "" if mark.get("episode") is None else str(mark["episode"])
        full = clean(f"{number} {mark['label']}".strip())
        room = frame.pixels(mark["begin_s"], following)
        words = next((text for text in (full, number) if len(text) * _LETTER + 4 <= room), "")
        if words:
            add_text(axes, (mark["begin_s"], frame.above(22)), words, across, color=paint("fault-edge"))


def _unusual(axes: Axes, frame: _Frame, marks: Sequence[Mapping[str, Any]]) -> None:
    """A bar along the plot's upper edge where the logs are unlike the baseline's."""
    across = axes.get_xaxis_transform()
    bars = [(mark["begin_s"], frame.above(-1), mark["end_s"], frame.above(-5)) for mark in marks]
    add_boxes(axes, bars, paint("ink"), transform=across, zorder=4.5)


def _round_ticks(highest: float) -> list[float]:
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(power * m for m in (0.25, 0.5, 1, 2.5, 5, 10) if highest / (power * m) <= 4.5)
    return [step * n for n in range(5)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1, 2, 5), (1, 3), (1,)):
        ticks = [part * 10.0**decade for decade in decades for part in parts if low <= part * 10.0**decade <= high]
        if len(ticks) <= 6:
            break
    return ticks


def _fault_sentence(verdict: Verdict) -> str:
    faults = [mark for mark in verdict.marks if mark["kind"] == "fault"]
    return f"{count(len(faults))} fault windows shaded. The same numbers are in the table below."
