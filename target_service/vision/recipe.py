"""Every number that decides what the built grounding model is. The training's hash covers them."""

from __future__ import annotations

from dataclasses import dataclass

from target_service.data.shapes import SIZE_PX
from target_service.model.sizes import TextNetwork
from target_service.vision.pixels import Preprocessing

__all__ = ["MODEL_ID", "ChordRecipe", "preprocessing_of"]

MODEL_ID = "tiny-qwen2.5-vl-chord"


@dataclass(frozen=True, kw_only=True)
class ChordRecipe(TextNetwork):
    """Sizes of network and training; steps are optimizer updates, `smoothing_px` how far a near miss counts as near."""

    vocabulary: int = 420
    intermediate: int = 160
    layers: int = 3
    # 2, 3 and 3 of 8 pairs turn with time, height and width; a small base, as all texts are short.
    mrope_section: tuple[int, ...] = (2, 3, 3)
    rope_theta: float = 1.5
    # As wide as the network is narrow: with the usual 0.02 little gets through at first.
    initial_std: float = 0.06
    patch_px: int = 14
    # All 16 patches become one token. Of four, the language model would first have to learn which lies where.
    merge: int = 4
    vision_hidden: int = 64
    vision_intermediate: int = 128
    vision_layers: int = 2
    vision_heads: int = 4
    batch: int = 48
    steps: int = 400
    learning_rate: float = 2e-3
    tutor_share: float = 0.5
    warmup_steps: int = 30
    smoothing_px: float = 2.0
    heldout_images: int = 400
    iou_share_min: float = 0.80
    absent_share_min: float = 0.95


def preprocessing_of(recipe: ChordRecipe) -> Preprocessing:
    """Every image is brought to about the size that the model was trained on."""
    return Preprocessing(min_pixels=SIZE_PX**2, max_pixels=SIZE_PX**2, patch_px=recipe.patch_px, merge=recipe.merge)
