"""From a figure to a piece of SVG in the page."""

from __future__ import annotations

from harness.render.palette import PAINTS, paint
from harness.render.svg import Canvas, add_boxes, add_lines, add_text, blank_axes, to_svg

CANVAS = Canvas("name", 400, 100)


def _drawn(words: str = "words") -> str:
    figure = CANVAS.figure()
    axes = blank_axes(figure, CANVAS, (10, 10, 10, 10))
    add_boxes(axes, [(0, 0, 0.5, 0.5), (0.6, 0, 1, 1)], paint("refused"))
    add_lines(axes, [(0, 0, 1, 1)], paint("muted"))
    add_text(axes, (0.1, 0.1), words, color=paint("ink"))
    return to_svg(figure, CANVAS, f"title {words}", words)


def test_every_colour_has_its_own_stand_in() -> None:
    assert len({paint(name) for name in PAINTS}) == len(PAINTS)


def test_stand_ins_become_variables_and_patterns_of_the_page() -> None:
    text = _drawn()
    assert "fill: url(#pattern-refused)" in text
    assert "stroke: var(--muted)" in text
    assert "#fe00" not in text


def test_a_hundred_boxes_are_one_shape() -> None:
    assert _drawn().count("<path ") == 3  # with the empty background of the figure


def test_the_same_figure_gives_the_same_text() -> None:
    assert _drawn() == _drawn()


def test_words_are_neither_markup_nor_mathematics_nor_control_characters() -> None:
    text = _drawn("<b> $x_1$ & \x00 \ud800 \U0001f4a5")
    assert "&lt;b&gt; $x_1$ &amp;" in text
    assert "<b>" not in text
    assert "\x00" not in text.split("<desc")[1].split("</desc>")[0]
