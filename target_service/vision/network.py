"""A Qwen2.5-VL of the recipe's sizes, randomly initialised."""

from __future__ import annotations

from typing import Any

from target_service.model.tokenizer import END
from target_service.vision.recipe import ChordRecipe
from target_service.vision.tokenizer import IMAGE, VIDEO, VISION_END, VISION_START

__all__ = ["new_network"]


def new_network(recipe: ChordRecipe, tokenizer: Any) -> Any:
    """The network; torch's seed decides its parameters."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    special = {
        key: tokenizer.convert_tokens_to_ids(token)
        for key, token in {
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
            "vision_start_token_id": VISION_START,
            "vision_end_token_id": VISION_END,
        }.items()
    }
    end = tokenizer.convert_tokens_to_ids(END)
    config = Qwen2_5_VLConfig(text_config=_text(recipe, tokenizer, end), vision_config=_vision(recipe), **special)
    network = Qwen2_5_VLForConditionalGeneration(config)
    network.generation_config.eos_token_id = end
    network.generation_config.pad_token_id = tokenizer.pad_token_id
    network.generation_config.do_sample = False
    return network


def _text(recipe: ChordRecipe, tokenizer: Any, end: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": recipe.hidden,
        "intermediate_size": recipe.intermediate,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "num_key_value_heads": recipe.kv_heads,
        "max_position_embeddings": recipe.positions_max,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": list(recipe.mrope_section),
            "rope_theta": recipe.rope_theta,
        },
        "initializer_range": recipe.initial_std,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _vision(recipe: ChordRecipe) -> dict[str, Any]:
    return {
        "depth": recipe.vision_layers,
        "initializer_range": recipe.initial_std,
        "hidden_size": recipe.vision_hidden,
        "intermediate_size": recipe.vision_intermediate,
        "num_heads": recipe.vision_heads,
        "patch_size": recipe.patch_px,
        "spatial_merge_size": recipe.merge,
        "out_hidden_size": recipe.hidden,
        # Every layer looks at the whole image: it is one window.
        "fullatt_block_indexes": list(range(recipe.vision_layers)),
    }
