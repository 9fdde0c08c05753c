"""The links of the local stack: each a proxy of the one proxy process, on ports of 127.0.0.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.links import Ask, Look, Toxic
from harness.stack.look import BackgroundLook, look_at, request_bytes
from harness.stack.reference.settings import HOST, Ports

if TYPE_CHECKING:
    from harness.stack.toxiproxy_api import ToxiproxyApi

__all__ = ["LocalLinks"]


class LocalLinks:
    """`prompts`: those that users have streamed; looks ask the shortest, so that what hits them hits every user.

    `instance`: what the run's proxy was started with, None for the official Toxiproxy.
    """

    def __init__(self, ports: Ports, instance: str | None, prompts: Sequence[Prompt], clock: Clock) -> None:
        self._ports = ports
        self._instance = instance
        self._prompt = min(prompts, key=lambda one: one.max_tokens)
        self._clock = clock

    def add(self, link: str, toxic: Toxic) -> None:
        api = self._api()
        api.check()
        api.add(link, toxic)

    def remove(self, link: str, toxic: Toxic) -> None:
        self._api().remove(link, toxic)

    def has(self, link: str, toxic: Toxic) -> bool:
        return self._api().has(link, toxic)

    def inverse(self, link: str, toxic: Toxic) -> Inverse:
        where = {"host": HOST, "port": self._ports.proxy_api, "instance": self._instance, "listen": self._listen()}
        return Inverse("link.mend", {**where, "link": link, "toxic": toxic.name, "type": toxic.type})

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        port = self._ports.servers[link] if past else self._ports.links[link]
        request = request_bytes(ask, self._prompt)
        return BackgroundLook(lambda: look_at(port, ask, request, self._clock))

    def _api(self) -> ToxiproxyApi:
        # Here, since it takes 0.2 s to import, for which the start of a run should not wait.
        from harness.stack.toxiproxy_api import ToxiproxyApi

        return ToxiproxyApi(HOST, self._ports.proxy_api, self._instance, self._listen())

    def _listen(self) -> dict[str, str]:
        return {name: f"{HOST}:{port}" for name, port in self._ports.links.items()}
