"""The numbers that every built network has, whatever it sees."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TextNetwork"]


@dataclass(frozen=True, kw_only=True)
class TextNetwork:
    """Of a decoder with grouped-query attention; a recipe adds its training and whatever else it has."""

    seed: int = 7
    vocabulary: int
    hidden: int = 64
    intermediate: int
    layers: int
    heads: int = 4
    kv_heads: int = 2
    positions_max: int = 512
