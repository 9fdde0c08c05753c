"""One proxy: its listener and its connections."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

from harness.toxics.chain import Chain
from harness.toxics.connection import Connection, Policy
from harness.toxics.listen import Bind, ListenError, Target, literal, look_up, open_listener, parse, shown
from harness.toxics.metrics import Counter, Metrics
from harness.toxics.timing import Alarms, now

__all__ = ["Proxy", "World"]

ACCEPT_AT_ONCE = 64  # connections, then others have a turn
NO_DESCRIPTORS_S = 0.1  # how long to wait when the process has no descriptor left


@dataclass
class World:
    """What all proxies of one server share."""

    loop: asyncio.AbstractEventLoop
    alarms: Alarms
    seed: int
    policy: Policy = field(default_factory=Policy)
    metrics: Metrics = field(default_factory=Metrics)


class Proxy:
    """`listen` is as configured until it listens, then where it really does."""

    def __init__(self, world: World, name: str, listen: str, upstream: str) -> None:
        self.world = world
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.connections: set[Connection] = set()
        self.toxics = Chain(name, world.seed, self.connections)
        self.counters: dict[str, Counter] = {}
        self._listener: socket.socket | None = None
        self._accepted = 0  # connections ever: their numbers
        self._targets: list[Target] | None = None

    def start(self, bind: Bind) -> None:
        """Listen, unless it does. Raises ListenError."""
        if self.enabled:
            return
        self._listener = open_listener(bind)
        host, port = self._listener.getsockname()[:2]
        self.listen = shown(host, port)
        self.enabled = True
        self._targets = _literal_targets(self.upstream)
        self.counters = {
            direction: self.world.metrics.counter(direction, self.listen, self.name, self.upstream)
            for direction in ("upstream", "downstream")
        }
        self.world.loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Close the listener and every connection. Toxics stay."""
        self.enabled = False
        if self._listener is not None:
            self.world.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.close()

    def differs(self, bind: Bind, upstream: str) -> bool:
        return self.listen != bind.text or self.upstream != upstream

    async def look_up(self) -> list[Target]:
        """The upstream's addresses, asked for anew. Raises OSError."""
        try:
            host, port = parse(self.upstream)
            return await look_up(host, port)
        except ListenError as error:
            raise OSError(str(error)) from error

    def view(self) -> dict[str, Any]:
        """As clients see it."""
        return {"name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": self.enabled}

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            if self._listener is None:
                return
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._pause_accepting(self._listener)
                return
            client.setblocking(False)
            self._accepted += 1
            connection = Connection(self, client, self._accepted)
            self.connections.add(connection)
            connection.dial(self._targets)

    def _pause_accepting(self, listener: socket.socket) -> None:
        """No descriptor is left: level-triggered readiness would spin."""
        self.world.loop.remove_reader(listener.fileno())

        def resume() -> None:
            if self._listener is listener:
                self.world.loop.add_reader(listener.fileno(), self._accept)

        self.world.alarms.at(now() + NO_DESCRIPTORS_S, resume)


def _literal_targets(upstream: str) -> list[Target] | None:
    """The upstream's address if no name has to be looked up for it."""
    try:
        host, port = parse(upstream)
    except ListenError:
        return None
    found = literal(host)
    if found is None or host == "localhost":
        return None
    if not found:
        found = "127.0.0.1"
    return [(socket.AF_INET6 if ":" in found else socket.AF_INET, (found, port))]
