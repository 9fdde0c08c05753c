"""Every number that decides what the built grounding model is. The training's hash covers them."""

from __future__ import annotations

from dataclasses import dataclass

from target_service.data.shapes import SIZE_PX
from target_service.vision.pixels import Preprocessing

__all__ = ["MODEL_ID", "ChordRecipe", "preprocessing_of"]

MODEL_ID = "tiny-qwen2.5-vl-chord"


@dataclass(frozen=True)
class ChordRecipe:
    """Sizes of network and training; steps are optimizer updates, `smoothing_px` how far a near miss counts as near."""

    seed: int = 7
    vocabulary: int = 420
    hidden: int = 64
    intermediate: int = 160
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    positions_max: int = 512
    # Three pairs of 8 rotate with time, height and width. A small base: an image is only four tokens high.
    mrope_section: tuple[int, ...] = (2, 3, 3)
    rope_theta: float = 10.0
    patch_px: int = 14
    vision_hidden: int = 64
    vision_intermediate: int = 128
    vision_layers: int = 2
    vision_heads: int = 4
    batch: int = 64
    steps: int = 800
    learning_rate: float = 3e-3
    warmup_steps: int = 40
    smoothing_px: float = 2.0
    heldout_images: int = 400
    iou_share_min: float = 0.80
    absent_share_min: float = 0.95


def preprocessing_of(recipe: ChordRecipe) -> Preprocessing:
    """Every image is brought to about the size that the model was trained on."""
    return Preprocessing(min_pixels=SIZE_PX**2, max_pixels=SIZE_PX**2, patch_px=recipe.patch_px)
