"""What a model folder must not ask of us: to run its code, or to unpickle its weights, which is the same."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["PICKLES", "danger_of"]

PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})


def danger_of(folder: Path) -> str | None:
    """A sentence about the first dangerous thing, or None. Needs no torch, and opens no weights.

    Pickles beside safetensors are harmless: they are never opened.
    """
    for path in sorted(folder.glob("*.json")):
        if "auto_map" in _keys(path):
            return (
                f"{path.name} names code to run (auto_map), and code of a model folder is never run here: "
                "remove the key if transformers knows the model, else take another model."
            )
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
        if pickles:
            return (
                f"{pickles[0]} is a pickle, which can run any code when it is loaded: "
                "convert the weights to model.safetensors."
            )
    return None


def _keys(path: Path) -> frozenset[str]:
    # Only small files are configuration; what cannot be read is found out when it is loaded.
    try:
        found = json.loads(path.read_text("utf-8")) if path.stat().st_size < 2**20 else None
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(found) if isinstance(found, dict) else frozenset()
