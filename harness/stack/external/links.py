"""The links of a foreign target: the harness's own proxy in front of it, or a Toxiproxy that stands on its hops.

A look asks what the target has (its health page, a chat), with its key and over TLS if it speaks that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.external.endpoint import Endpoint
from harness.stack.external.golden_recording import chat_body
from harness.stack.links import Ask, Look, Seen, Toxic
from harness.stack.look import HEADERS, BackgroundLook, look_at

if TYPE_CHECKING:
    from harness.stack.toxiproxy_api import ToxiproxyApi

__all__ = ["ExternalLinks", "Hop", "Question", "api_of", "hop_of"]


@dataclass(frozen=True)
class Hop:
    """Where a link's proxy listens, and where what is behind it does; (host, port) each."""

    through: tuple[str, int]
    past: tuple[str, int]


@dataclass(frozen=True)
class Question:
    """What a look asks."""

    endpoint: Endpoint
    page: str
    prompt: Prompt
    model: str | None
    ends_with_done: bool

    def request(self, ask: Ask) -> bytes:
        """The bytes of a look; see `harness.stack.look.request_bytes`."""
        named = {"Host": self.endpoint.host_header, **self.endpoint.authorization()}
        head = HEADERS + "".join(f"{name}: {value}\r\n" for name, value in named.items())
        if ask.stream:
            body = json.dumps(chat_body(self.prompt, self.model, stream=True)).encode()
            post = f"POST {self.endpoint.path}/v1/chat/completions HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
            return f"{post}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        page = f"GET {self.endpoint.path}{self.page} HTTP/1.1\r\n{head}"
        last = page if ask.keep else f"{page}Connection: close\r\n"
        return (f"{page}\r\n" * (ask.repeat - 1) + f"{last}\r\n").encode()

    def judged(self, ask: Ask, seen: Seen) -> Seen:
        """The same, where this server ends its answers otherwise than the reference target does."""
        whole = seen.data.endswith(b"\r\n0\r\n\r\n") and not seen.reset  # the last chunk of a body without a length
        if ask.stream and not self.ends_with_done:
            return replace(seen, answered=whole and b'"finish_reason"' in seen.data)
        if not ask.stream and ask.repeat == 1 and b"transfer-encoding: chunked" in seen.data.lower():
            return replace(seen, answered=whole)
        return seen


class ExternalLinks:
    """`api`: where the proxy's own API listens; `instance`: what ours was started with, None for another's."""

    def __init__(
        self, api: tuple[str, int], instance: str | None, hops: Mapping[str, Hop], question: Question, clock: Clock
    ) -> None:
        self._where = api
        self._instance = instance
        self._hops = hops
        self._question = question
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
        host, port = self._where
        where = {"host": host, "port": port, "instance": self._instance, "listen": {}}
        return Inverse("link.mend", {**where, "link": link, "toxic": toxic.name, "type": toxic.type})

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        hop = self._hops[link]
        at, question = hop.past if past else hop.through, self._question
        request = question.request(ask)
        return BackgroundLook(
            lambda: question.judged(
                ask, look_at(lambda limit_s: question.endpoint.connect(limit_s, at), ask, request, self._clock)
            )
        )

    def _api(self) -> ToxiproxyApi:
        # Here, since it takes 0.2 s to import, for which the start of a run should not wait.
        from harness.stack.toxiproxy_api import ToxiproxyApi

        return ToxiproxyApi(*self._where, self._instance, {})


def api_of(url: str) -> tuple[str, int]:
    """Where a Toxiproxy's API listens. Raises StackError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise StackError(f"external.toxiproxy: '{url}' is not the address of a Toxiproxy; write http://host:8474")
    return parts.hostname, parts.port or 8474


def hop_of(proxy: Mapping[str, str], api_host: str, past: str | None) -> Hop:
    """From what a Toxiproxy says of a proxy; one that listens everywhere does so where its API is.

    `past`: where what is behind it is reached from here, if not at the address that the proxy itself uses.
    """

    def address(text: str) -> tuple[str, int]:
        host, _, port = text.rpartition(":")
        return host.strip("[]"), int(port)

    host, port = address(proxy["listen"])
    through = (api_host if host in ("", "0.0.0.0", "::") else host, port)  # noqa: S104  read, not listened on
    return Hop(through, address(past or proxy["upstream"]))
