"""Small drawn images with one coloured shape each, and questions about them; some name a colour that is not there.

An image is held out when the hash of its (colour, shape, place) is in the held-out tenth, so a held-out image is a
combination that training has never seen, while each of its parts has been.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["COLOURS", "GENERIC", "QUESTIONS", "SHAPES", "SIZE_PX", "Box", "Question", "Scene", "ask", "draw"]

SIZE_PX = 56
SIDES_PX = (14, 36)
CELL_PX = 8
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 70, 220),
    "yellow": (235, 205, 40),
    "purple": (150, 50, 190),
    "cyan": (40, 190, 205),
}
SHAPES = ("rectangle", "ellipse", "triangle")
# What a question may call any shape.
GENERIC = ("shape", "object", "thing")
QUESTIONS = (
    "Find the {c} {s}.",
    "Where is the {c} {s}?",
    "Locate the {c} {s}.",
    "Point to the {c} {s}.",
    "Show me the {c} {s}.",
)
ABSENT_SHARE = 0.4
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """`pixels` has shape (56, 56, 3), uint8; `box` is x1, y1, x2, y2 in pixels, right and bottom edge outside."""

    pixels: npt.NDArray[np.uint8]
    colour: str
    shape: str
    box: Box

    @property
    def held_out(self) -> bool:
        """Whether training must not see it."""
        key = f"{self.colour}|{self.shape}|{self.box[0] // CELL_PX}|{self.box[1] // CELL_PX}"
        return zlib.crc32(key.encode()) % 10 == 0


@dataclass(frozen=True)
class Question:
    """A question about a scene and where the answer is: None if the scene does not hold what it names."""

    text: str
    box: Box | None


def draw(rng: np.random.Generator) -> Scene:
    """Draw one scene: a shape in some shade of its colour on a bright, slightly noisy ground."""
    colour, shape = _pick(rng, tuple(COLOURS)), _pick(rng, SHAPES)
    width, height = (int(side) for side in rng.integers(SIDES_PX[0], SIDES_PX[1] + 1, size=2))
    x, y = int(rng.integers(0, SIZE_PX - width + 1)), int(rng.integers(0, SIZE_PX - height + 1))
    box = (x, y, x + width, y + height)
    ground = np.full((SIZE_PX, SIZE_PX, 3), rng.integers(180, 226), dtype=np.int16)
    ground[_inside(shape, box)] = np.asarray(COLOURS[colour]) + rng.integers(-20, 21, size=3)
    noisy = ground + rng.integers(-6, 7, size=(SIZE_PX, SIZE_PX, 1), dtype=np.int16)
    return Scene(np.clip(noisy, 0, 255).astype(np.uint8), colour, shape, box)


def ask(rng: np.random.Generator, scene: Scene) -> Question:
    """Ask for the shape that is there or, in 40 % of the questions, for one of a colour that is not."""
    absent = bool(rng.random() < ABSENT_SHARE)
    colour, noun = scene.colour, _pick(rng, (scene.shape, scene.shape, *GENERIC))
    if absent:
        colour = _pick(rng, tuple(name for name in COLOURS if name != scene.colour))
        noun = _pick(rng, (*SHAPES, *GENERIC))
    text = _pick(rng, QUESTIONS).format(c=colour, s=noun)
    return Question(text, None if absent else scene.box)


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _inside(shape: str, box: Box) -> npt.NDArray[np.bool_]:
    """The pixels whose centres lie in the shape that fills the box; shape (56, 56)."""
    x1, y1, x2, y2 = box
    at = np.arange(SIZE_PX) + 0.5
    # -1 to 1 across the box.
    across, down = 2 * (at - x1) / (x2 - x1) - 1, 2 * (at - y1) / (y2 - y1) - 1
    across, down = across[None, :], down[:, None]
    inside = (np.abs(across) <= 1) & (np.abs(down) <= 1)
    if shape == "ellipse":
        return inside & (across**2 + down**2 <= 1)
    if shape == "triangle":
        return inside & (2 * np.abs(across) <= down + 1)
    return inside
