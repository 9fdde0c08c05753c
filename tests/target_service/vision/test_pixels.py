"""Pre-processing: the same numbers as transformers' own, without torchvision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from target_service.vision.images import as_png, decode_image
from target_service.vision.pixels import PREPROCESSOR, Preprocessing, patches_of, read_preprocessing, smart_resize

SMALL = Preprocessing(min_pixels=3136, max_pixels=3136, patch_px=7)


def test_patches_that_become_one_token_lie_together() -> None:
    # Every pixel says its own row and column of patches.
    rows, columns = np.mgrid[0:56, 0:56] // 14
    pixels = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    plain = Preprocessing(mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))
    patches = patches_of(pixels, plain)
    assert patches.grid_thw == (1, 4, 4) and patches.tokens(2) == 4
    assert patches.values.shape == (16, 3 * 2 * 14 * 14) and patches.values.dtype == np.float32
    where = [(round(float(patch[0])), round(float(patch[2 * 14 * 14]))) for patch in patches.values]
    assert where[:8] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]


@pytest.mark.parametrize(("height", "width"), [(56, 56), (100, 30), (1080, 1920), (1, 150), (2000, 1900)])
@pytest.mark.parametrize("how", [Preprocessing(), SMALL])
def test_a_resized_image_has_sides_of_whole_tokens(height: int, width: int, how: Preprocessing) -> None:
    new_height, new_width = smart_resize(height, width, how)
    assert new_height % how.factor_px == 0 and new_width % how.factor_px == 0
    # A small image is brought up to the least number of pixels in whole tokens, which may be some too many.
    assert new_height * new_width <= (how.max_pixels if how.max_pixels > how.min_pixels else 4 * how.max_pixels)


def test_a_ribbon_is_refused() -> None:
    with pytest.raises(ValueError, match="200 times"):
        smart_resize(1, 201, SMALL)


def test_what_a_folder_says_is_read_and_nonsense_is_named(tmp_path: Path) -> None:
    assert read_preprocessing(tmp_path) == Preprocessing()
    path = tmp_path / PREPROCESSOR
    path.write_text(json.dumps({"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2}))
    assert read_preprocessing(tmp_path) == Preprocessing(max_pixels=12845056)
    path.write_text(json.dumps({"size": {"shortest_edge": 3136, "longest_edge": 3136}, "patch_size": 7}))
    assert read_preprocessing(tmp_path) == SMALL
    for nonsense in ("{", "[]", '{"patch_size": 0}', '{"image_std": [1]}', '{"patch_size": "x"}'):
        path.write_text(nonsense)
        with pytest.raises(ValueError, match="is not a pre-processing"):
            read_preprocessing(tmp_path)


@pytest.mark.model
@pytest.mark.parametrize("size", [(56, 56), (90, 60), (300, 200), (28, 500)])
@pytest.mark.parametrize("how", [Preprocessing(), SMALL])
def test_the_patches_are_those_of_transformers(size: tuple[int, int], how: Preprocessing) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    theirs = Qwen2VLImageProcessorPil(
        size={"shortest_edge": how.min_pixels, "longest_edge": how.max_pixels},
        patch_size=how.patch_px,
        temporal_patch_size=how.temporal,
        merge_size=how.merge,
    )(Image.fromarray(pixels), return_tensors="np")
    height, width = smart_resize(size[1], size[0], how)
    ours = patches_of(decode_image(as_png(pixels), (width, height)), how)
    assert [list(ours.grid_thw)] == theirs["image_grid_thw"].tolist()
    # Theirs resizes in another way in the last bit of a colour at most.
    assert np.abs(ours.values - theirs["pixel_values"]).max() < 0.02
