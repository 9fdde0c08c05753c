"""One request and its answer on the wire (child only), over geventhttpclient's sockets and parser.

Locust's own FastHttpSession is not used for it because it hides what this harness measures: the first byte (it returns
after the headers), whether a connection broke before or after that byte, and a bound on the total time. Its pool also
tests idle sockets with select(), which cannot see file descriptors above 1,023: during an outage it would stop reusing.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPResponse

__all__ = ["Answer", "CutError", "Pool", "exchange", "make_pool"]

_READ_BYTES = 65536
OnBody = Callable[[bytes, float], None]


class CutError(Exception):
    """The connection was closed before the answer was complete."""


class Answer(HTTPResponse):
    """A response while it comes in."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.first_byte_s: float | None = None  # monotonic clock
        self.status: int | None = None  # known once the headers of the final (not 1xx) response are complete
        self.ended = False  # the final response is complete
        self._surplus = False

    def header(self, name: str) -> str | None:
        """Its value; several are joined."""
        value = self.get(name)
        return ", ".join(value) if isinstance(value, list) else value

    def take(self) -> bytes:
        """Body bytes that came since the last call."""
        data = bytes(self._body_buffer)
        self._body_buffer.clear()
        return data

    @property
    def reusable(self) -> bool:
        """May the connection carry another request?"""
        return self.ended and not self._surplus and self.should_keep_alive()

    def _on_message_begin(self) -> None:
        if self.ended:  # bytes beyond the answer: not ours
            self._surplus = True
            return
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        if not self.ended and self.get_code() >= 200:
            self.status = self.get_code()
        return super()._on_headers_complete()

    def _on_body(self, buf: bytearray) -> None:
        if not self.ended:
            super()._on_body(buf)

    def _on_message_complete(self) -> None:
        super()._on_message_complete()
        self.ended = self.status is not None


class _Sockets(ConnectionPool):
    """Idle connections, newest first, each tested before reuse as urllib3 and httpx do."""

    _address: list[Any] | None = None

    def _resolve(self) -> list[Any]:
        if self._address is None:
            try:
                flags = socket.AI_NUMERICHOST
                self._address = socket.getaddrinfo(
                    self._connection_host, self._connection_port, type=socket.SOCK_STREAM, flags=flags
                )
            except socket.gaierror:  # a name: looked up for each connection, so that failover by DNS is seen
                return super()._resolve()
        return self._address

    def _is_socket_alive(self, sock: Any) -> bool:
        # An idle connection that is readable was closed by the peer, or holds bytes nobody asked for.
        if sock is None or sock.fileno() < 0:
            return False
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN)
        return not poller.poll(0)

    def after_connect(self, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _TlsSockets(_Sockets, SSLConnectionPool):
    """The same over TLS."""


Pool = _Sockets


def make_pool(url: str, size: int, tls: tuple[str | None, str | None] = (None, None)) -> Pool:
    """Room for `size` connections at once to the host of `url`; `tls`: another name than its own, what to trust."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # No timeouts of its own: the request's deadline is over everything, from connecting to the last byte.
    limits: dict[str, Any] = {"size": size, "connection_timeout": None, "network_timeout": None}
    if parts.scheme == "https":
        name, ca_file = tls
        options = {"server_hostname": urlsplit(f"//{name}").hostname} if name else {}
        options |= {"ca_certs": ca_file} if ca_file else {}
        return _TlsSockets(host, port, host, port, ssl_options=options, **limits)
    return _Sockets(host, port, host, port, **limits)


def exchange(pool: Pool, request: bytes, answer: Answer, on_body: OnBody) -> None:
    """Send and read to the end. Raises OSError, CutError or HTTPParseError; the deadline may interrupt it anywhere."""
    sock = pool.get_socket()
    try:
        sock.sendall(request)
        while not answer.ended:
            data = sock.recv(_READ_BYTES)
            _take(answer, data, on_body)
    except BaseException:
        pool.release_socket(sock)
        raise
    if answer.reusable:
        pool.return_socket(sock)
    else:
        pool.release_socket(sock)


def _take(answer: Answer, data: bytes, on_body: OnBody) -> None:
    now_s = time.monotonic()
    if data and answer.first_byte_s is None:
        answer.first_byte_s = now_s
    if not data and not answer.headers_complete:
        raise CutError("closed")
    try:
        answer.feed(data)  # no data: the end of a response without a length, or too early an end
    except HTTPParseError:
        if not answer.ended:  # surplus bytes after a complete answer do not spoil it
            raise
    body = answer.take()
    if body:
        on_body(body, now_s)
    if not data and not answer.ended:
        raise CutError("closed")
