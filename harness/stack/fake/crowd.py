"""What strangers do to the scripted target, and what it counts of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from harness.model.request import Outcome
from harness.stack.fake.links import Effect

__all__ = ["FakeCrowd"]

FILES = 20  # that a gateway has open anyway


@dataclass(frozen=True)
class _Group:
    kind: str
    since_s: float
    arguments: Mapping[str, int | float]

    @property
    def rate_per_s(self) -> float:
        """Requests a second; clients that are not served ask twice a second."""
        return float(self.arguments.get("rate_per_s", 2 * self.arguments.get("clients", 0)))


class FakeCrowd:
    """A target without limits works off what has piled up: users wait as long again as the strangers came."""

    def __init__(self, *, limits: bool) -> None:
        self._limits = limits  # a bounded queue, cancelled requests, checked prompts
        self._groups: dict[str, _Group] = {}
        self._counted = 0.0
        self._backlog_until_s = 0.0

    def begin(self, name: str, kind: str, now_s: float, arguments: Mapping[str, int | float]) -> None:
        """They come."""
        self._groups[name] = _Group(kind, now_s, arguments)

    def end(self, name: str, now_s: float) -> None:
        """They have gone."""
        gone = self._groups.pop(name, None)
        if gone is not None and gone.kind != "idle_connections":
            self._counted += gone.rate_per_s * (now_s - gone.since_s)
            self._backlog_until_s = max(self._backlog_until_s, now_s + (now_s - gone.since_s))

    def has(self, name: str) -> bool:
        """Whether they come now."""
        return name in self._groups

    def effect(self, now_s: float) -> Effect:
        """On a user's request at that time."""
        crowded = any(one.kind != "idle_connections" for one in self._groups.values())
        if self._limits or not (crowded or now_s < self._backlog_until_s):
            return Effect()
        return Effect(Outcome.TIMEOUT)

    def page(self, now_s: float, received: int) -> bytes:
        """The gateway's own counters, as its pages say them."""
        asked = self._counted + sum(one.rate_per_s * (now_s - one.since_s) for one in self._groups.values())
        files = FILES + sum(int(one.arguments.get("connections", 0)) for one in self._groups.values())
        state = json.dumps({"received_distinct": received, "received_total": received + int(asked)})
        return f"HTTP/1.1 200 OK\r\n\r\n{state}\nprocess_open_fds {files}\n".encode()
