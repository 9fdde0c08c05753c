"""Nodes: servers that go away at once and without a word, as with a power cut, and come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.record.journal import Inverse

__all__ = ["Nodes"]


class Nodes(Protocol):
    """Of a stack that is up. Every method may raise StackError."""

    def prepare(self, servers: Sequence[str], mark: str) -> Inverse:
        """Have ready what it takes, so that all go at once; how another process could bring them back."""

    def take(self, servers: Sequence[str], mark: str) -> None:
        """All at once. Nobody restarts them, and no connection of theirs is closed."""

    def bring_back(self, servers: Sequence[str], mark: str) -> None:
        """Start them; does no harm when they run."""

    def gone(self, servers: Sequence[str]) -> Mapping[str, str]:
        """Of these servers those that are down, with what says so."""
