"""The connections between the target's servers, each through a proxy of its own: how to break one and look through it.

A link is named after the server that it leads to: `gateway` is the users' link, `primary` the gateway's link to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from harness.record.journal import Inverse

__all__ = ["DOWN", "Ask", "Links", "Look", "Seen", "Toxic"]

DOWN = "down"


@dataclass(frozen=True)
class Toxic:
    """What is done to a link; words and units are Toxiproxy's. The type `down` closes it: connections are refused."""

    name: str  # unique on its link
    type: str
    stream: Literal["upstream", "downstream"] = "downstream"  # what clients send, what they receive
    attributes: Mapping[str, int | str] = field(default_factory=dict)
    toxicity: float = 1.0  # share of connections (or of requests), 0 to 1
    per_request: bool = False

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        per = {"toxicity_per": "request"} if self.per_request else {}
        words = {"name": self.name, "type": self.type, "stream": self.stream, "toxicity": self.toxicity}
        return {**words, "attributes": dict(self.attributes), **per}


@dataclass(frozen=True)
class Ask:
    """What one look sends on a connection of its own. The gateway never counts it as a user's."""

    stream: bool = False  # a chat whose answer is streamed; otherwise a page
    says: str | None = None  # what the chat asks; None: the shortest of what users ask
    probe: bool = True  # said to be one; otherwise it is served, and counted by the replica itself, as a user's
    page: str = "/version"
    repeat: int = 1  # so many pages, asked for at once
    keep: bool = False  # the server is not asked to close after its last answer; the look ends with that
    limit_s: float = 1.0  # then it gives up


@dataclass(frozen=True)
class Seen:
    """What a look saw. Times in seconds since it began to connect; None: it never came."""

    connected: bool
    refused: bool = False  # by the other side, and not given up by us
    answered: bool = False  # every answer whole
    status: int | None = None  # of the first answer
    first_byte_s: float | None = None
    last_byte_s: float | None = None
    closed_s: float | None = None
    reset: bool = False
    gap_max_s: float = 0.0  # between bytes
    sent: int = 0  # bytes
    data: bytes = b""

    @property
    def events(self) -> int:
        """Of the event stream, the closing [DONE] not counted."""
        return self.data.count(b"data: ") - self.data.count(b"data: [DONE]")


class Look(Protocol):
    """A look under way."""

    def seen(self) -> Seen | None:
        """None: not over yet. Never waits."""


class Links(Protocol):
    """All links of a stack that is up."""

    def add(self, link: str, toxic: Toxic) -> None:
        """Put a toxic on a link. Raises StackError when it is not there afterwards."""

    def remove(self, link: str, toxic: Toxic) -> None:
        """Take it away; does no harm when it has gone. Raises StackError when it is still there afterwards."""

    def has(self, link: str, toxic: Toxic) -> bool:
        """Whether it is there now, as the proxy says. Raises StackError when the proxy cannot be asked."""

    def inverse(self, link: str, toxic: Toxic) -> Inverse:
        """How another process could take it away."""

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        """Begin to ask the server at the link's end: through the link's proxy, or past it."""
