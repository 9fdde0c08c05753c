"""Links that a Toxiproxy stands on, whoever started it: putting toxics on them, taking them off, and the inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.record.journal import Inverse
from harness.stack.links import Toxic

if TYPE_CHECKING:
    from harness.stack.toxiproxy_api import ToxiproxyApi

__all__ = ["ProxyLinks"]


class ProxyLinks:
    """`api`: (host, port) where the proxy's own API listens; `listen`: link -> where its proxy has to, if that is ours.

    `instance`: what ours was started with, None for another's.
    """

    def __init__(self, api: tuple[str, int], instance: str | None, listen: Mapping[str, str]) -> None:
        self._where = api
        self._instance = instance
        self._listen = dict(listen)

    def add(self, link: str, toxic: Toxic) -> None:
        """Put a toxic on a link."""
        api = self._api()
        api.check()
        api.add(link, toxic)

    def remove(self, link: str, toxic: Toxic) -> None:
        """Take it away."""
        self._api().remove(link, toxic)

    def has(self, link: str, toxic: Toxic) -> bool:
        """Whether it is there now."""
        return self._api().has(link, toxic)

    def inverse(self, link: str, toxic: Toxic) -> Inverse:
        """How another process could take it away."""
        host, port = self._where
        where = {"host": host, "port": port, "instance": self._instance, "listen": self._listen}
        return Inverse("link.mend", {**where, "link": link, "toxic": toxic.name, "type": toxic.type})

    def _api(self) -> ToxiproxyApi:
        # Here, since it takes 0.2 s to import, for which the start of a run should not wait.
        from harness.stack.toxiproxy_api import ToxiproxyApi

        return ToxiproxyApi(*self._where, self._instance, self._listen)
