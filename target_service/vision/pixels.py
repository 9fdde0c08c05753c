"""From an RGB image to what Qwen2.5-VL's vision tower takes, in numpy alone. Pure.

The arithmetic is that of `image_processing_pil_qwen2_vl.py` in transformers 5.23; a test compares the two.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PREPROCESSOR", "Patches", "Preprocessing", "patches_of", "read_preprocessing", "smart_resize"]

PREPROCESSOR = "preprocessor_config.json"
# The mean and deviation of OpenAI's CLIP, which Qwen2-VL took over.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
ASPECT_MAX = 200


@dataclass(frozen=True)
class Preprocessing:
    """The published defaults of Qwen2.5-VL; sides in pixels, `merge` in patches, both per dimension."""

    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    patch_px: int = 14
    temporal: int = 2
    merge: int = 2
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @property
    def factor_px(self) -> int:
        """What both sides of an image must be multiples of."""
        return self.patch_px * self.merge


@dataclass(frozen=True)
class Patches:
    """`values` has shape (grid_h · grid_w, 3 · temporal · patch²), in the order in which patches are merged."""

    values: npt.NDArray[np.float32]
    grid_thw: tuple[int, int, int]

    def tokens(self, merge: int) -> int:
        """How many tokens the image is to the language model."""
        return math.prod(self.grid_thw) // merge**2


def smart_resize(height: int, width: int, how: Preprocessing) -> tuple[int, int]:
    """The size to bring an image to, as (height, width): multiples of the factor, pixels within the bounds.

    Raises ValueError for an image more than 200 times as long as wide.
    """
    factor = how.factor_px
    if max(height, width) / min(height, width) > ASPECT_MAX:
        raise ValueError(f"one side is more than {ASPECT_MAX} times the other")
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > how.max_pixels:
        shrink = math.sqrt(height * width / how.max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < how.min_pixels:
        grow = math.sqrt(how.min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def patches_of(pixels: npt.NDArray[np.uint8], how: Preprocessing) -> Patches:
    """Rescale, normalise and cut one image; `pixels` has shape (height, width, 3), sides multiples of the factor."""
    height, width, _ = pixels.shape
    scaled = pixels.astype(np.float32) / 255
    normal = ((scaled - np.asarray(how.mean)) / np.asarray(how.std)).astype(np.float32)
    rows, columns = height // how.patch_px, width // how.patch_px
    cut = normal.transpose(2, 0, 1).reshape(
        3, rows // how.merge, how.merge, how.patch_px, columns // how.merge, how.merge, how.patch_px
    )
    # Patches that become one token lie together: (row, column, row in it, column in it, channel, y, x).
    cut = cut.transpose(1, 4, 2, 5, 0, 3, 6)
    # A still image is a film in which every frame is the same.
    film = np.broadcast_to(cut[:, :, :, :, :, None], (*cut.shape[:5], how.temporal, *cut.shape[5:]))
    return Patches(film.reshape(rows * columns, -1), (1, rows, columns))


def read_preprocessing(folder: Path) -> Preprocessing:
    """What preprocessor_config.json says, or the published defaults; ValueError if it is not one."""
    path = folder / PREPROCESSOR
    if not path.is_file():
        return Preprocessing()
    try:
        return _from_config(json.loads(path.read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{PREPROCESSOR} is not a pre-processing of Qwen2.5-VL ({error!r})") from error


def _from_config(config: dict[str, Any]) -> Preprocessing:
    default, size = Preprocessing(), config.get("size") or {}
    how = Preprocessing(
        min_pixels=int(config.get("min_pixels") or size.get("shortest_edge") or default.min_pixels),
        max_pixels=int(config.get("max_pixels") or size.get("longest_edge") or default.max_pixels),
        patch_px=int(config.get("patch_size", default.patch_px)),
        temporal=int(config.get("temporal_patch_size", default.temporal)),
        merge=int(config.get("merge_size", default.merge)),
        mean=tuple(float(value) for value in config.get("image_mean", default.mean)),
        std=tuple(float(value) for value in config.get("image_std", default.std)),
    )
    sizes = (how.min_pixels, how.max_pixels, how.patch_px, how.temporal, how.merge, *how.std)
    if min(sizes) <= 0 or len(how.mean) != 3 or len(how.std) != 3:
        raise ValueError("sizes and deviations must be positive, and there are three channels")
    return how
