"""Is this a model folder at all? One sentence for each way in which it is not. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["BadFolderError", "read_config"]

CONFIG = "config.json"
# A tokenizer comes as one of these; without any, transformers 5 makes an empty one and says nothing (measured).
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
REMEDY = "publish the model again or name another folder with --model"


class BadFolderError(Exception):
    """The folder cannot be served from; the message names it and the remedy."""


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json; raises BadFolderError when folder, config, weights or tokenizer are not there."""
    problem = _of_folder(folder)
    if problem is None:
        names = {path.name for path in folder.iterdir()}
        problem = _of_files(folder, names)
    if problem is not None:
        raise BadFolderError(f"{problem}; {REMEDY}")
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise BadFolderError(f"{folder / CONFIG} is not valid JSON ({error}); {REMEDY}") from error
    if not isinstance(config, dict):
        raise BadFolderError(f"{folder / CONFIG} is not a JSON object; {REMEDY}")
    return config


def _of_folder(folder: Path) -> str | None:
    try:
        if not folder.exists():
            return f"{folder} does not exist"
        if not folder.is_dir():
            return f"{folder} is a file, not a model folder"
    except OSError as error:
        return f"{folder} cannot be looked at ({error.strerror})"
    if not os.access(folder, os.R_OK | os.X_OK):
        return f"{folder} may not be read by this user"
    return None if any(folder.iterdir()) else f"{folder} is empty"


def _of_files(folder: Path, names: set[str]) -> str | None:
    weights = sorted(name for name in names if name.endswith(".safetensors") and (folder / name).is_file())
    tokenizers = [name for name in TOKENIZERS if name in names]
    if CONFIG not in names:
        return f"{folder / CONFIG} is missing"
    if not weights:
        return f"{folder} holds no weights (*.safetensors)"
    if not tokenizers:
        return f"{folder} holds no tokenizer ({TOKENIZERS[0]})"
    # Measured: a file that may not be read is reported by safetensors as "no such file".
    closed = [name for name in (CONFIG, *weights, *tokenizers) if not os.access(folder / name, os.R_OK)]
    return f"{folder / closed[0]} may not be read by this user" if closed else None
