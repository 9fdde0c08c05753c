"""Where the load runs when it cannot run here: in a container beside a target whose ports this host does not reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["CarriesLoad", "LoadPlace"]


@dataclass(frozen=True)
class LoadPlace:
    """`inside`: the words before a command that is run there, with its standard input and output carried to us."""

    inside: tuple[str, ...]
    base_url: str  # of the target, as seen from there
    offset_s: float  # what its host's monotonic clock says more than ours
    folder: str = "/tmp"  # noqa: S108  there; in a container of its own


@runtime_checkable
class CarriesLoad(Protocol):
    """A stack with such a place."""

    def load_place(self) -> LoadPlace:
        """Call when the stack is up."""
