"""Flip `flips_per_million` bits in a million bytes, wherever they fall: heads of HTTP messages are bytes as well."""

from __future__ import annotations

from math import log
from random import Random

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.stage import Stage
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]

MILLION = 1_000_000


class Corrupt(Stage):
    """Draws the distance to the next flip, so that the bytes between cost nothing."""

    __slots__ = ("distance", "random")

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.random: Random | None = None
        self.distance = -1  # bytes until the next one that is hit; -1: to be drawn

    def step(self) -> bool:
        piece, rate = self.inbox[0], self.number("flips_per_million")
        if rate > 0 and not piece.end:
            piece.data = self._flipped(bytes(piece.data), rate / MILLION)
        self.pass_on()
        return True

    def interrupt(self) -> None:
        self.distance = -1  # the rate may be another one now

    def _flipped(self, data: bytes, share: float) -> bytes:
        if self.random is None:
            self.random = self.draws.generator()
        if self.distance < 0:
            self.distance = self._gap(share)
        if self.distance >= len(data):
            self.distance -= len(data)
            return data
        changed = bytearray(data)
        while self.distance < len(changed):
            changed[self.distance] ^= 1 << self.random.randrange(8)
            self.distance += 1 + self._gap(share)
        self.distance -= len(changed)
        return bytes(changed)

    def _gap(self, share: float) -> int:
        assert self.random is not None
        if share >= 1:
            return 0
        return int(log(1 - self.random.random()) / log(1 - share))


def _check(attributes: Attributes) -> str | None:
    rate = int(attributes["flips_per_million"])
    return None if 0 <= rate <= MILLION else "flips_per_million must be from 0 to 1000000"


KIND = Kind("corrupt", Corrupt, {"flips_per_million": 0}, _check, official=False)
