"""Which Prometheus will watch a run, as a plan has to know it: what rules it will have, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

__all__ = ["RULES", "Watched", "Watching"]

RULES = Path(__file__).parent.parent.parent / "compose" / "prometheus" / "rules"


@dataclass(frozen=True)
class Watching:
    """`why_not`: a sentence with the remedy when there will be none; empty: there will be one, with these rules."""

    why_not: str = ""
    rules: Path = RULES  # its files *.yml


@runtime_checkable
class Watched(Protocol):
    """A stack that may have one."""

    def watching(self) -> Watching:
        """Of a run that begins now. Touches nothing."""
