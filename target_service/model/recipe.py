"""The recipe: every number that decides what the built model is. Its hash names the result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["MODEL_ID", "Recipe", "recipe_sha256"]

MODEL_ID = "tiny-qwen2-chat"


@dataclass(frozen=True)
class Recipe:
    """Sizes of the network and of its training; steps count optimizer updates."""

    seed: int = 7
    vocabulary: int = 1400
    hidden: int = 64
    intermediate: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    positions_max: int = 512
    batch: int = 32
    chat_share: float = 0.25
    learning_rate: float = 4e-3
    warmup_steps: int = 20
    decay_steps: int = 30
    check_every_steps: int = 15
    steps_min: int = 75
    steps_max: int = 600
    heldout_sentences: int = 200
    heldout_accuracy_min: float = 0.95
    files: int = 2  # which files are published beside the weights; 2: golden.json and fingerprint.json


def recipe_sha256(recipe: Recipe) -> str:
    """Hash of the recipe and of the package's own sources that shape the model, as hex."""
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    package = Path(__file__).parent
    shaping = [package / "tokenizer.py", package / "training.py", *(package.parent / "data").glob("*.py")]
    for source in sorted(shaping):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()
