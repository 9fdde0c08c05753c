"""Charts of a projection: the error budget's course, recoveries of each fault, fault-free minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib

from harness.model.soak_report import SoakReport, TypeResult
from harness.render.numbers import percent, seconds
from harness.render.palette import paint
from harness.render.svg import Canvas, add_boxes, add_lines, add_outlines, add_text, blank_axes, to_svg

__all__ = ["drift_chart", "fan_chart", "recoveries_chart"]

_WIDTHS = (1032, 350)
_ROW = 46
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 26


def fan_chart(report: SoakReport) -> str:
    """What is left of the budget, day by day: median, half and 95 % of the months."""
    return _both("fan", lambda canvas: _fan(report, canvas), 260)


def recoveries_chart(report: SoakReport) -> str:
    """Every recovery as a dot, one row a fault; empty when no trial was verified."""
    types = [one for one in report.types if one.recoveries]
    return _both("recoveries", lambda canvas: _recoveries(types, canvas), len(types) * _ROW + 34) if types else ""


def drift_chart(report: SoakReport) -> str:
    """Mean latency of each fault-free minute; empty for fewer than two."""
    return _both("drift", lambda canvas: _drift(report, canvas), 180) if len(report.drift) > 1 else ""


def _both(name: str, chart: Callable[[Canvas], str], height: int) -> str:
    """For a desk and for a phone, with the library's own defaults whatever this machine's settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        return "".join(
            chart(Canvas(f"{name}-{'wide' if width > 600 else 'narrow'}", width, height)) for width in _WIDTHS
        )


def _fan(report: SoakReport, canvas: Canvas) -> str:
    figure = canvas.figure()
    axes = blank_axes(figure, canvas, (_LEFT, _TOP, _RIGHT, _BOTTOM))
    bands = {q: (1.0, *values) for q, values in report.fan.quantiles.items()}
    low = max(-1.0, min(-0.05, *bands["0.025"]))
    axes.set_xlim(0, report.days)
    axes.set_ylim(low, 1.02)
    days = range(report.days + 1)
    levels = [level / 4 for level in range(-4, 5) if level / 4 >= low]
    add_lines(axes, [(0, y, report.days, y) for y in levels], paint("grid"), linewidth=0.8, zorder=0)
    for y in levels:
        add_text(axes, (-report.days * 0.008, y), f"{y:.0%}", color=paint("muted"), ha="right", fontsize=12)
    step = 5 if canvas.wide else 10
    for day in range(0, report.days + 1, step):
        place = (day, low - (1.02 - low) * 0.06)
        add_text(axes, place, f"day {day}", color=paint("muted"), ha="center" if day else "left", fontsize=12)
    for outer, name in ((("0.025", "0.975"), "ok"), (("0.25", "0.75"), "p50")):
        bottom, top = ([max(low, v) for v in bands[q]] for q in outer)
        shape = [*zip(days, bottom, strict=True), *reversed(list(zip(days, top, strict=True)))]
        add_outlines(axes, [[(float(x), float(y)) for x, y in shape]], paint(name), zorder=1, alpha=0.55)
    middle = bands["0.5"]
    lines = [(float(d), middle[d], float(d + 1), middle[d + 1]) for d in range(report.days)]
    add_lines(axes, lines, paint("p99"), linewidth=2, zorder=3)
    add_lines(axes, [(0, 0, report.days, 0)], paint("users"), linewidth=1.4, zorder=2)
    last = {q: percent(max(-9.99, values[-1])) for q, values in bands.items()}
    words = (
        f"At the end {last['0.5']} is left in the median month, {last['0.025']} to {last['0.975']} in 95 % of months."
    )
    return to_svg(figure, canvas, "Error budget left over the month", words)


def _recoveries(types: Sequence[TypeResult], canvas: Canvas) -> str:
    figure = canvas.figure()
    axes = blank_axes(figure, canvas, (4, 0, 14, 0))
    ends = [low if high is None else high for one in types for low, high in one.recoveries]
    longest = max(ends, default=0.0) * 1.05 or 1.0
    axes.set_xlim(0, longest)
    axes.set_ylim(canvas.height, 0)
    bottom = len(types) * _ROW + 8
    ticks = [longest * part / (8 if canvas.wide else 4) for part in range(9 if canvas.wide else 5)]
    add_lines(axes, [(at, 4, at, bottom) for at in ticks], paint("grid"), linewidth=0.8, zorder=0)
    for at in ticks:
        side = "left" if at == 0 else "right" if at == ticks[-1] else "center"
        add_text(axes, (at, bottom + 12), seconds(at) if at else "0", color=paint("muted"), ha=side, fontsize=12)
    for row, one in enumerate(types):
        top = row * _ROW
        nothing = sum(span == (0.0, 0.0) for span in one.recoveries)
        words = f"{one.name} · n = {one.n}" + (f", nothing lost in {nothing}" if nothing else "")
        add_text(axes, (0, top + 13), words, color=paint("ink"), fontsize=12)
        closed = [(low, high) for low, high in one.recoveries if high is not None and high > 0]
        dots = [high for _, high in closed]
        axes.plot(dots, [top + 32] * len(dots), "o", color=paint("p99"), markersize=7, alpha=0.35, markeredgewidth=0)
        still = [low for low, high in one.recoveries if high is None]
        axes.plot(still, [top + 32] * len(still), ">", color=paint("users"), markersize=7, markeredgewidth=0)
        median = one.recovery["p50"]
        if median.value is not None and median.low is not None and median.high is not None:
            add_boxes(axes, [(median.low, top + 39, median.high, top + 42)], paint("users"), zorder=3)
    words = "; ".join(f"{one.name}: {one.n} trials, {one.censored} not recovered at the end" for one in types)
    return to_svg(figure, canvas, "Recovery of every verified trial", words)


def _drift(report: SoakReport, canvas: Canvas) -> str:
    figure = canvas.figure()
    axes = blank_axes(figure, canvas, (_LEFT, _TOP, _RIGHT, _BOTTOM))
    at = [minute[0] / 60 for minute in report.drift]
    means = [minute[3] for minute in report.drift]
    axes.set_xlim(0, at[-1] + 1)
    axes.set_ylim(0, max(means) * 1.15)
    for level in (0.0, max(means)):
        add_lines(axes, [(0, level, at[-1] + 1, level)], paint("grid"), linewidth=0.8, zorder=0)
        add_text(axes, (-0.1, level), seconds(level) if level else "0", color=paint("muted"), ha="right", fontsize=12)
    pairs = zip(at, means, at[1:], means[1:], strict=False)
    add_lines(axes, [(a + 0.5, b, c + 0.5, d) for a, b, c, d in pairs], paint("p99"), linewidth=2, zorder=2)
    for minute in at:
        add_text(axes, (minute + 0.5, -max(means) * 0.16), f"{minute + 1:.0f} min", color=paint("muted"), ha="center")
    words = f"Mean latency of {len(means)} fault-free minutes: {seconds(min(means))} to {seconds(max(means))}."
    return to_svg(figure, canvas, "Mean latency of each fault-free minute", words)
