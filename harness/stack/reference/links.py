"""The links of the local stack: each a proxy of the one proxy process, on ports of 127.0.0.1."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.keyed import authorization
from harness.stack.links import Ask, Look, Seen
from harness.stack.look import Addressed, BackgroundLook, look_at, request_bytes
from harness.stack.proxy_links import ProxyLinks
from harness.stack.reference.settings import HOST, Ports

__all__ = ["LocalLinks"]


class LocalLinks(ProxyLinks):
    """`prompts`: those that users have streamed; looks ask the shortest, so that what hits them hits every user.

    `instance`: what the run's proxy was started with, None for the official Toxiproxy. `key`: what the gateway's users
    must show.
    """

    def __init__(
        self, ports: Ports, instance: str | None, prompts: Sequence[Prompt], clock: Clock, key: str | None = None
    ) -> None:
        listen = {name: f"{HOST}:{port}" for name, port in ports.links.items()}
        super().__init__((HOST, ports.proxy_api), instance, listen)
        self._ports = ports
        self._prompt = min(prompts, key=lambda one: one.max_tokens)
        self._clock = clock
        self._of_users = Addressed({**Addressed().headers, **authorization(key)})

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        port = self._ports.servers[link] if past else self._ports.links[link]
        request = request_bytes(ask, self._prompt, self._of_users if link == "gateway" else None)
        return BackgroundLook(lambda: self.seen(port, ask, request))

    def seen(self, port: int, ask: Ask, request: bytes) -> Seen:
        """One look, from begin to end."""
        return look_at(port, ask, request, self._clock)
