"""The toxics of one proxy, and the stages that they have on its open connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.toxics.draws import Draws
from harness.toxics.requests import Requests
from harness.toxics.toxic import STREAMS, Toxic

if TYPE_CHECKING:
    from harness.toxics.connection import Connection
    from harness.toxics.link import Link
    from harness.toxics.stage import Stage

__all__ = ["Chain"]


class Chain:
    """In the order in which they were added, each stream for itself."""

    def __init__(self, proxy: str, seed: int, connections: set[Connection]) -> None:
        self._proxy = proxy
        self._seed = seed
        self._connections = connections
        self._toxics: list[Toxic] = []
        self._reading = False  # HTTP requests are followed

    def listed(self) -> list[Toxic]:
        """Those on the upstream stream first."""
        return [toxic for direction in STREAMS for toxic in self._toxics if toxic.direction == direction]

    def get(self, name: str) -> Toxic | None:
        return next((toxic for toxic in self._toxics if toxic.name == name), None)

    def join(self, connection: Connection) -> None:
        """Give a new connection its stages."""
        if not self._toxics:
            return
        if self._reading:
            connection.requests = Requests()
        connection.resets = any(toxic.kind.resets for toxic in self._toxics)
        for toxic in self._toxics:
            link = connection.link(toxic.direction)
            assert link is not None
            link.join(self._stage(toxic, connection, link))
        for link in connection.links():
            for stage in link.stages:
                stage.start()

    def add(self, toxic: Toxic) -> None:
        self._toxics.append(toxic)
        self._watch_all()
        for connection in self._running():
            link = connection.link(toxic.direction)
            if link is not None:
                link.add(self._stage(toxic, connection, link))

    def change(self, toxic: Toxic) -> None:
        self._watch_all()
        for connection in self._running():
            link = connection.link(toxic.direction)
            if link is not None:
                link.change(toxic)

    def remove(self, toxic: Toxic) -> None:
        self._toxics.remove(toxic)
        for connection in self._running():
            link = connection.link(toxic.direction)
            if link is not None:
                link.remove(toxic)
        self._watch_all()

    def clear(self) -> None:
        for toxic in self.listed():
            self.remove(toxic)

    def _running(self) -> list[Connection]:
        return [connection for connection in self._connections if connection.running]

    def _stage(self, toxic: Toxic, connection: Connection, link: Link) -> Stage:
        return toxic.kind.stage(toxic, link, Draws(self._seed, self._proxy, connection.number, toxic.name))

    def _watch_all(self) -> None:
        """Open connections follow HTTP requests for as long as a toxic has to know them."""
        reading = any(toxic.reads_requests for toxic in self._toxics)
        if reading != self._reading:
            self._reading = reading
            for connection in self._running():
                connection.requests = Requests() if reading else None
