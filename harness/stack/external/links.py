"""The links of a foreign target: the harness's own proxy in front of it, or a Toxiproxy that stands on its hops.

A look asks what the target has (its health page, a chat), with its key and over TLS if it speaks that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.external.endpoint import Endpoint
from harness.stack.links import Ask, Look, Seen
from harness.stack.look import Addressed, BackgroundLook, look_at, request_bytes
from harness.stack.proxy_links import ProxyLinks

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
        headers = {"Host": self.endpoint.host_header, **self.endpoint.authorization()}
        to = Addressed(headers, self.endpoint.path, self.model)
        return request_bytes(replace(ask, page=self.page), self.prompt, to)

    def judged(self, ask: Ask, seen: Seen) -> Seen:
        """The same, where this server ends its answers otherwise than the reference target does."""
        whole = seen.data.endswith(b"\r\n0\r\n\r\n") and not seen.reset  # the last chunk of a body without a length
        if ask.stream and not self.ends_with_done:
            return replace(seen, answered=whole and b'"finish_reason"' in seen.data)
        if not ask.stream and ask.repeat == 1 and b"transfer-encoding: chunked" in seen.data.lower():
            return replace(seen, answered=whole)
        return seen


class ExternalLinks(ProxyLinks):
    """`api`: where the proxy's own API listens; `instance`: what ours was started with, None for another's."""

    def __init__(
        self, api: tuple[str, int], instance: str | None, hops: Mapping[str, Hop], question: Question, clock: Clock
    ) -> None:
        super().__init__(api, instance, {})
        self._hops = hops
        self._question = question
        self._clock = clock

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        hop = self._hops[link]
        at, question = hop.past if past else hop.through, self._question
        request = question.request(ask)
        return BackgroundLook(
            lambda: question.judged(
                ask, look_at(lambda limit_s: question.endpoint.connect(limit_s, at), ask, request, self._clock)
            )
        )


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
