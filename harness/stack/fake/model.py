"""The scripted target's model folder: small files that every fault of a model can really damage."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PRISTINE", "altered_model", "parts_of", "unreadable", "write_model"]

_MATRIX = {"dtype": "F32", "shape": [16, 16], "data_offsets": [0, 1024]}
_HEADER = json.dumps({"a": _MATRIX}, separators=(",", ":")).encode()
_NUMBERS = [((7 * at) % 256 - 127.5) / 64 for at in range(256)]
PRISTINE = len(_HEADER).to_bytes(8, "little") + _HEADER + struct.pack("<256f", *_NUMBERS)
_WEIGHTS = "model.safetensors"
_PARTS: Mapping[str, tuple[str, bytes]] = {
    "config": ("config.json", b'{"rms_norm_eps": 1e-06}'),
    "tokenizer": ("tokenizer.json", b'{"model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}'),
}
_EVERY = ((_WEIGHTS, PRISTINE), *_PARTS.values())


def write_model(folder: Path) -> None:
    """Make the pristine folder."""
    folder.mkdir(parents=True)
    (folder / _WEIGHTS).write_bytes(PRISTINE)
    for name, content in _PARTS.values():
        (folder / name).write_bytes(content)


def altered_model(folder: Path) -> bool | None:
    """Whether any file differs from the pristine one; None: the weights are missing."""
    try:
        return any(_bytes_of(f"{folder}/{name}") != content for name, content in _EVERY)
    except FileNotFoundError:
        return None


def _bytes_of(path: str) -> bytes:  # asked for every request: pathlib would take longer than the reading
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)


def unreadable(folder: Path) -> bool:
    """Whether nobody may read the weights, as their mode says."""
    weights = folder / _WEIGHTS
    return weights.exists() and not weights.stat().st_mode & 0o444


def parts_of(folder: Path) -> Mapping[str, str]:
    """Digest of each file beside the weights."""
    return {part: hashlib.sha256((folder / name).read_bytes()).hexdigest() for part, (name, _) in _PARTS.items()}
