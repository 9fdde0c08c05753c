"""A toxic as it is configured, and the kinds that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.toxics.stage import Stage

__all__ = ["STREAMS", "Attributes", "Kind", "Toxic"]

STREAMS = ("upstream", "downstream")  # what clients send, and what they receive
Attributes = dict[str, int | str]


def _anything(_attributes: Attributes) -> str | None:
    return None


@dataclass(frozen=True)
class Kind:
    """One type of toxic: what it is called, what it does, its attributes with their defaults, what they must be."""

    name: str
    stage: type[Stage]
    defaults: Mapping[str, int | str]
    check: Callable[[Attributes], str | None] = _anything  # what is wrong, as a sentence
    resets: bool = False  # connections that begin while it is there end with RST
    reads_requests: bool = False  # it has to know where HTTP requests begin and end
    only_stream: str | None = None  # the only stream on which it means something
    official: bool = True  # the official server has it too


@dataclass(eq=False)
class Toxic:
    """One toxic of one proxy; changed in place, so that its stages see the change."""

    kind: Kind
    name: str
    stream: str  # as the client wrote it
    toxicity: float = 1.0  # share of connections, or of requests, on which it acts
    per_request: bool = False
    attributes: Attributes = field(default_factory=dict)

    @property
    def direction(self) -> str:
        return self.stream.lower()

    @property
    def reads_requests(self) -> bool:
        return self.per_request or self.kind.reads_requests
