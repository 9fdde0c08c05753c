"""Changing tensors of a safetensors file in place: 8 bytes of header length, a JSON header, raw little-endian numbers.

The file keeps its size and its header, so a loader notices nothing; that is what these faults are about.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NotSafetensors", "Tensor", "change_tensors", "prune", "quantise", "read_tensors", "redraw"]

Values = np.ndarray[Any, np.dtype[np.float32]]
# Wider ones would lose digits in float32, which everything here is reckoned in.
FLOATS: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


class NotSafetensors(Exception):
    """The file's header cannot be read, so no tensor can be changed."""


@dataclass(frozen=True)
class Tensor:
    """Where a floating-point tensor lies in its file, in bytes from the file's begin."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def is_matrix(self) -> bool:
        """What pruning and quantisation change; norms and biases are left alone, as the usual tools do."""
        return len(self.shape) >= 2

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Of one number."""
        return FLOATS[self.dtype].itemsize


def read_tensors(path: Path) -> list[Tensor]:
    """The floating-point tensors of a file, in the order in which they lie. Raises NotSafetensors."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size - 8:
                raise NotSafetensors(f"{path.name} says that its header is {length} bytes long")
            header = json.loads(file.read(length))
        rows = {name: row for name, row in header.items() if name != "__metadata__"}
        found = [
            Tensor(name, row["dtype"], tuple(row["shape"]), *(8 + length + at for at in row["data_offsets"]))
            for name, row in rows.items()
            if row["dtype"] in FLOATS
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotSafetensors(f"{path.name} has no safetensors header ({error!r})") from error
    return sorted(found, key=lambda tensor: tensor.begin)


def change_tensors(path: Path, change: Callable[[Values, Tensor], Values]) -> int:
    """Replace the numbers of each matrix by what `change` makes of them; returns how many bytes differ afterwards."""
    altered = 0
    with path.open("r+b") as file:
        for tensor in read_tensors(path):
            if not tensor.is_matrix:
                continue
            file.seek(tensor.begin)
            before = file.read(tensor.end - tensor.begin)
            after = _packed(change(_unpacked(before, tensor), tensor), tensor)
            assert len(after) == len(before)
            altered += int(np.count_nonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)))
            file.seek(tensor.begin)
            file.write(after)
    return altered


def prune(values: Values, share: float) -> Values:
    """Zero the given share of the numbers, the smallest by magnitude; ties fall to the first."""
    n = round(values.size * share)
    pruned = values.copy()
    pruned[np.argsort(np.abs(values), kind="stable")[:n]] = 0
    return pruned


def quantise(values: Values, bits: int) -> Values:
    """Round to `bits`-bit integers on a symmetric scale, one scale for the tensor, and back."""
    levels = 2 ** (bits - 1) - 1
    largest = float(np.max(np.abs(values), initial=0))
    if largest == 0 or not math.isfinite(largest):
        return values
    scale = largest / levels
    return np.asarray(np.clip(np.round(values / scale), -levels, levels) * scale, dtype=np.float32)


def redraw(values: Values, rng: np.random.Generator) -> Values:
    """Other numbers with the same mean and spread: a model of the same shape that was trained otherwise, or never."""
    return np.asarray(rng.normal(values.mean(), values.std(), values.size), dtype=np.float32)


def _unpacked(data: bytes, tensor: Tensor) -> Values:
    raw = np.frombuffer(data, FLOATS[tensor.dtype])
    if tensor.dtype == "BF16":  # the upper half of a float32
        return np.asarray((raw.astype("<u4") << 16).view("<f4"), dtype=np.float32)
    return raw.astype(np.float32)


def _packed(values: Values, tensor: Tensor) -> bytes:
    if tensor.dtype == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype(FLOATS[tensor.dtype]).tobytes()
