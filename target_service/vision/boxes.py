"""Boxes in a model's answer, and how well two boxes agree. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["boxes_in", "iou", "scaled"]

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
# (x1,y1),(x2,y2) as Qwen-VL writes between <|box_start|> and <|box_end|>, or a list of four as in "bbox_2d".
_CORNERS = re.compile(rf"\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)")
_FOUR = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_FAR = 1e6
XYXY = tuple[float, float, float, float]


def boxes_in(text: str) -> list[XYXY]:
    """Every box that an answer names, as x1, y1, x2, y2, in order; one without an area is none."""
    found = sorted([*_CORNERS.finditer(text), *_FOUR.finditer(text)], key=lambda match: match.start())
    boxes = []
    for match in found:
        x1, y1, x2, y2 = (min(float(value), _FAR) for value in match.groups())
        if x2 > x1 and y2 > y1:
            boxes.append((x1, y1, x2, y2))
    return boxes


def scaled(box: XYXY, seen: tuple[int, int], sent: tuple[int, int]) -> list[float]:
    """A box on the image as the model saw it, on the image as it was sent; both sizes are (width, height) in pixels.

    What lies outside the image is cut off; the result is rounded to a tenth of a pixel.
    """
    limits = (sent[0], sent[1]) * 2
    factors = (sent[0] / seen[0], sent[1] / seen[1]) * 2
    return [round(min(value * f, top), 1) for value, f, top in zip(box, factors, limits, strict=True)]


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2: 0 if they do not meet, 1 if they are the same."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
