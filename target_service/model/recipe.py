"""The recipe: every number that decides what the built model is. Its hash names the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from target_service.model.sizes import TextNetwork

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["MODEL_ID", "Recipe", "hash_of", "recipe_sha256"]

MODEL_ID = "tiny-qwen2-chat"


@dataclass(frozen=True, kw_only=True)
class Recipe(TextNetwork):
    """Sizes of the network and of its training; steps count optimizer updates."""

    vocabulary: int = 1400
    intermediate: int = 128
    layers: int = 2
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
    package = Path(__file__).parent
    data = (package.parent / "data" / name for name in ("__init__.py", "chat.py", "sentiment.py"))
    return hash_of(recipe, [package / "tokenizer.py", package / "training.py", *data])


def hash_of(recipe: DataclassInstance, sources: Sequence[Path]) -> str:
    """Hash of a recipe and of source files, as hex."""
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    for source in sorted(sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()
