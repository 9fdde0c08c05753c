"""From a matplotlib figure to a piece of SVG that lives in the page: its fonts, its colours, no identity of its own."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Transform

from harness.render.palette import PAINTS, PATTERNS
from harness.render.svg_text import clean

__all__ = ["Canvas", "Outline", "add_boxes", "add_lines", "add_outlines", "add_text", "blank_axes", "clean", "to_svg"]

Outline = list[tuple[float, float]]

_HEAD = re.compile(r"^.*?<svg[^>]*>\s*(?:<metadata>.*?</metadata>\s*)?<defs>\s*<style.*?</defs>", re.DOTALL)
_GEOMETRY = re.compile(r' (?:d|x|y|x1|x2|y1|y2|width|height|transform)="[^"<>]*"')
_STYLE = re.compile(r'style="[^"<>]*"')
_LONG = re.compile(r"-?\d+\.\d{2,}")
_UNTURNED = re.compile(r' transform="rotate\(-?0 [^"]*"')
_STAND_IN = re.compile(r"#fe(00[0-9a-f]{2})")
_FONT = re.compile(r" ?font-family: [^;\"]*;?")
_GROUP = re.compile(r'<g id="[^"]*">')
_INSIGNIFICANT = re.compile(r">\s*\n\s*<")


@dataclass(frozen=True)
class Canvas:
    """Where a chart goes: `name` is unique in the page, sizes are CSS pixels."""

    name: str
    width: int
    height: int

    @property
    def wide(self) -> bool:
        """Room for words beside the drawing: a desk, not a phone."""
        return self.width > 600

    def figure(self) -> Figure:
        """An empty figure of this size: one unit is one pixel."""
        return Figure(figsize=(self.width / 72, self.height / 72), dpi=72)


def blank_axes(figure: Figure, canvas: Canvas, box: tuple[float, float, float, float]) -> Axes:
    """Axes without frame, ticks or background at (left, top, right, bottom) pixels from the edges."""
    left, top, right, bottom = box
    width, height = canvas.width - left - right, canvas.height - top - bottom
    place = (left / canvas.width, bottom / canvas.height, width / canvas.width, height / canvas.height)
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes


def add_boxes(axes: Axes, boxes: Iterable[tuple[float, float, float, float]], color: str, **style: Any) -> None:
    """Rectangles (left, bottom, right, top) of one colour, as one shape: a report has hundreds."""
    add_outlines(axes, [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes], color, **style)


def add_outlines(axes: Axes, outlines: Iterable[Outline], color: str, **style: Any) -> None:
    """Closed shapes of one colour, as one shape."""
    _add(axes, outlines, closed=True, facecolor=color, linewidth=0, **style)


def add_lines(axes: Axes, lines: Iterable[tuple[float, float, float, float]], color: str, **style: Any) -> None:
    """Straight lines (from x, y to x, y) of one colour and width, as one shape."""
    _add(axes, [[(x0, y0), (x1, y1)] for x0, y0, x1, y1 in lines], closed=False, edgecolor=color, fill=False, **style)


def add_text(
    axes: Axes, place: tuple[float, float], words: str, transform: Transform | None = None, **style: Any
) -> None:
    """Words as they are: a dollar sign is no mathematics."""
    usual = {"color": "#000000", "fontsize": 11, "va": "center_baseline", "parse_math": False}
    axes.text(*place, clean(words), transform=transform or axes.transData, **{**usual, **style})


def _add(axes: Axes, outlines: Iterable[Outline], *, closed: bool, **style: Any) -> None:
    points: Outline = []
    codes: list[Any] = []
    for outline in outlines:
        points += [*outline, outline[0]] if closed else outline
        codes += [Path.MOVETO, *[Path.LINETO] * (len(outline) - 1), *[Path.CLOSEPOLY] * closed]
    if points:
        axes.add_artist(PathPatch(Path(numpy.array(points), codes), **style))


def to_svg(figure: Figure, canvas: Canvas, title: str, description: str, overlay: str = "") -> str:
    """The figure as inline SVG with `overlay`, SVG too, on it. The same figure gives the same text anywhere."""
    raw = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = canvas.name
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's fonts draw the text, not matplotlib's
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None})
    body = _INSIGNIFICANT.sub("><", _HEAD.sub("", raw.getvalue(), count=1))
    body = _GROUP.sub("<g>", body).replace("xlink:href", "href")
    body = _UNTURNED.sub("", _GEOMETRY.sub(_shorten, body))
    body = _STYLE.sub(_theme, body)
    size = f'viewBox="0 0 {canvas.width} {canvas.height}" width="{canvas.width}" height="{canvas.height}"'
    label = f'role="img" aria-labelledby="{canvas.name}-t {canvas.name}-d"'
    form = "wide" if canvas.wide else "narrow"
    words = f'<title id="{canvas.name}-t">{escape(clean(title))}</title>'
    words += f'<desc id="{canvas.name}-d">{escape(clean(description))}</desc>'
    return f'<svg class="chart {form}" {size} {label}>{words}{body.strip().removesuffix("</svg>")}{overlay}</svg>'


def _shorten(attribute: re.Match[str]) -> str:
    return (
        _LONG.sub(lambda n: f"{float(n.group()):.1f}".removesuffix(".0"), attribute.group())
        .replace(" \n", " ")
        .replace("\n", " ")
    )


def _theme(style: re.Match[str]) -> str:
    return _STAND_IN.sub(_variable, _FONT.sub("", style.group()))


def _variable(stand_in: re.Match[str]) -> str:
    name = PAINTS[int(stand_in.group(1), 16)]
    return f"url(#pattern-{name})" if name in PATTERNS else f"var(--{name})"
