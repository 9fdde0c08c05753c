"""Boxes in what a model says, and how well two of them agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.vision.boxes import boxes_in, iou, scaled


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("(12,20),(30,40)", [(12, 20, 30, 40)]),
        ("<|box_start|>(1, 2),(3,4)<|box_end|> and (5,6),(7,8)", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ('```json\n[{"bbox_2d": [1, 2, 3.5, 4], "label": "a (b)"}]\n```', [(1, 2, 3.5, 4)]),
        ("none", []),
        ("", []),
        ("(12,20),(30,", []),
        ("(30,40),(12,20) (1,1),(1,5)", []),
        ("[1,2,3]", []),
    ],
)
def test_every_whole_box_with_an_area_is_found(text: str, boxes: list[tuple[float, ...]]) -> None:
    assert boxes_in(text) == boxes


@given(st.text(alphabet="0123456789.,()[] \n"))
def test_no_text_is_too_odd(text: str) -> None:
    for x1, y1, x2, y2 in boxes_in(text):
        assert 0 <= x1 < x2 <= 1e6 and 0 <= y1 < y2 <= 1e6


def test_a_box_is_brought_to_the_image_that_was_sent_and_cut_at_its_edges() -> None:
    assert scaled((10, 20, 40, 60), (56, 56), (112, 28)) == [20, 10, 80, 28]


@pytest.mark.parametrize(
    ("other", "share"), [((0, 0, 10, 10), 1), ((5, 0, 15, 10), 1 / 3), ((0, 0, 10, 5), 0.5), ((10, 0, 20, 10), 0)]
)
def test_iou_is_the_shared_area_over_the_whole(other: tuple[int, ...], share: float) -> None:
    assert iou((0, 0, 10, 10), other) == pytest.approx(share)
