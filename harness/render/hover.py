"""What a chart says where the pointer is: an invisible column for each bin, its words shown below the axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from harness.render.svg_text import clean

__all__ = ["columns", "groups", "titled"]

LEAST_PX = 3.0  # of a column: a pointer cannot find a narrower one, and a page with a thousand of them opens slowly


def groups(edges: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Neighbouring bins (from, to) that share a column, so that each is wide enough; `edges` in pixels, one more."""
    begin = 0
    for stop in range(1, len(edges)):
        if edges[stop] - edges[begin] >= LEAST_PX or stop == len(edges) - 1:
            yield begin, stop
            begin = stop


def columns(bins: Iterable[tuple[float, float, str]], top: float, height: float, words_y: float) -> str:
    """Of (left, right, words) in pixels. Only style rules show and hide: no script."""
    return "".join(
        f'<g class="at"><rect x="{left:.1f}" y="{top:g}" width="{max(1.0, right - left):.1f}" height="{height:g}"/>'
        f'<text x="52" y="{words_y:g}">{escape(clean(words))}</text></g>'
        for left, right, words in bins
    )


def titled(boxes: Iterable[tuple[float, float, float, float, str]]) -> str:
    """Of (left, top, width, height, words) in pixels: the browser's own hint."""
    return "".join(
        f'<rect class="hint" x="{x:.1f}" y="{y:.1f}" width="{max(2.0, width):.1f}" height="{height:.1f}">'
        f"<title>{escape(clean(words))}</title></rect>"
        for x, y, width, height, words in boxes
    )
