"""What every fault of a scenario has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt

from harness.model.capability import Capability

__all__ = ["STRICT", "Fault", "Seconds", "SecondsAboveZero"]

STRICT: Mapping[str, object] = {"extra": "forbid", "use_attribute_docstrings": True, "allow_inf_nan": False}

Seconds = Annotated[float, Ge(0)]
SecondsAboveZero = Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What every fault has."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT
    needs: ClassVar[Capability]
    more_places: ClassVar[tuple[str, ...]] = ()  # what `on` may name beside replicas

    kind: str
    """What breaks, as family.name; `harness faults` lists them."""
    on: str = "primary"
    """Which replica."""
    at_s: Seconds = 0.0
    """When, in seconds after the episode's begin (the first episode begins at the baseline's end)."""

    @property
    def lasts_s(self) -> float:
        """How long the harness holds the fault before it heals it; 0: it is over at once."""
        return 0.0

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a stack must be able to do."""
        return frozenset({self.needs})

    @property
    def problem(self) -> tuple[str, str] | None:
        """A key and what is wrong with it, given the others; None: they go together."""
        return None
