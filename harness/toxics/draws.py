"""Chance that can be repeated: each draw is a function of seed, proxy, connection, toxic and its number, so neither
time nor other connections change it."""

from __future__ import annotations

from hashlib import blake2b
from random import Random

__all__ = ["Draws"]


class Draws:
    """The draws of one toxic on one connection."""

    __slots__ = ("_drawn", "_of", "_rolled")

    def __init__(self, seed: int, proxy: str, connection: int, toxic: str) -> None:
        self._of = (seed, proxy, connection, toxic)  # made into text when something is drawn: most never draw
        self._rolled = 0
        self._drawn = 0

    def roll(self, toxicity: float) -> bool:
        """Whether the toxic acts this time."""
        self._rolled += 1
        if toxicity >= 1:
            return True
        return toxicity > 0 and self._unit(f"roll{self._rolled}") < toxicity

    def between(self, low: float, high: float) -> float:
        self._drawn += 1
        return low + (high - low) * self._unit(f"draw{self._drawn}")

    def generator(self) -> Random:
        """For toxics that draw often."""
        return Random(self._key())

    def _key(self) -> str:
        return "/".join(map(str, self._of)) + "/"

    def _unit(self, what: str) -> float:
        digest = blake2b((self._key() + what).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
