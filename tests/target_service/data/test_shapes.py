"""The drawn images: what is in them is where they say."""

from __future__ import annotations

import numpy as np
import pytest

from target_service.data.shapes import COLOURS, SIZE_PX, ask, draw


def test_the_box_holds_the_shape_and_nothing_else_is_coloured() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        scene = draw(rng)
        x1, y1, x2, y2 = scene.box
        assert 0 <= x1 < x2 <= SIZE_PX and 0 <= y1 < y2 <= SIZE_PX
        coloured = np.ptp(scene.pixels.astype(int), axis=-1) > 60
        rows, columns = np.flatnonzero(coloured.any(1)), np.flatnonzero(coloured.any(0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.abs(np.subtract(found, scene.box)).max() <= 2, (scene.shape, scene.box, found)


def test_four_of_ten_questions_name_a_colour_that_is_not_there() -> None:
    rng = np.random.default_rng(6)
    absent = 0
    for _ in range(2000):
        scene = draw(rng)
        question = ask(rng, scene)
        named = [colour for colour in COLOURS if colour in question.text.split()]
        assert (named == [scene.colour]) == (question.box == scene.box) and len(named) == 1
        absent += question.box is None
    assert absent / 2000 == pytest.approx(0.4, abs=0.05)


def test_a_seed_draws_the_same_scenes() -> None:
    one, other = draw(np.random.default_rng(9)), draw(np.random.default_rng(9))
    assert (one.pixels == other.pixels).all() and one.box == other.box


def test_about_a_tenth_is_held_out() -> None:
    rng = np.random.default_rng(8)
    assert sum(draw(rng).held_out for _ in range(2000)) / 2000 == pytest.approx(0.1, abs=0.05)
