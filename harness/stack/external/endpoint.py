"""A server of somebody else: where it is, how to connect to it, and one question with a limit on the time it takes."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from harness.model.errors import StackError
from harness.record.clock import Clock

__all__ = ["Endpoint", "Reply", "endpoint_of"]

CONNECT_S = 1.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024
PROBE = {"X-Probe": "harness-look", "Accept-Encoding": "identity", "Connection": "close"}


@dataclass(frozen=True)
class Reply:
    """A status and the bytes that came with it; `problem` says in words why there is none."""

    status: int | None
    data: bytes = b""
    problem: str = ""

    @property
    def good(self) -> bool:
        """Any 2xx: some servers say "not ready" with 400."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def words(self) -> str:
        """What it says, without a word of the body: that may hold a secret."""
        return self.problem or f"status {self.status}"

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.data)
        except ValueError:
            return None


@dataclass(frozen=True)
class Endpoint:
    """`path` is what stands before /v1/…; the key is read from the environment each time, and kept nowhere."""

    scheme: str
    host: str
    port: int
    path: str = ""
    ca_file: str | None = None
    api_key_env: str | None = None

    @property
    def url(self) -> str:
        """As its clients write it."""
        return f"{self.scheme}://{self.host_header}{self.path}"

    @property
    def host_header(self) -> str:
        """The Host that the server expects."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    def address(self) -> tuple[str, int]:
        """IP address and port: the first that accepts, as `localhost` is two. Raises StackError for an unknown name."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise StackError(
                f"{self.url}: the name {self.host} cannot be looked up ({error}); check the URL"
            ) from error
        addresses = [(str(one[4][0]), int(one[4][1])) for one in found]
        for address in addresses:
            try:
                socket.create_connection(address, timeout=CONNECT_S).close()
            except OSError:
                continue
            return address
        return addresses[0]

    def authorization(self) -> dict[str, str]:
        """The header that opens it, if it needs one. Raises StackError when the variable is not set."""
        if self.api_key_env is None:
            return {}
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise StackError(
                f"the environment variable {self.api_key_env} is not set; it should hold the key of {self.url}"
            )
        return {"Authorization": f"Bearer {key}"}

    @property
    def on_this_host(self) -> bool:
        """Whether its name is one of the loopback's; no name is looked up."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def context(self) -> ssl.SSLContext | None:
        """How to speak TLS to it; None: it speaks none. Raises StackError for a file that holds no certificates."""
        return self._context if self.scheme == "https" else None

    @cached_property
    def _context(self) -> ssl.SSLContext:  # once: reading all public authorities takes 30 ms
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise StackError(f"{self.ca_file}: holds no certificates that can be read ({error})") from error

    def connect(self, limit_s: float, at: tuple[str, int] | None = None) -> socket.socket:
        """A connection, by way of `at` if given. Raises OSError."""
        plain = socket.create_connection(at or (self.host, self.port), timeout=limit_s)
        context = self.context()
        if context is None:
            return plain
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def ask(
        self, clock: Clock, method: str, path: str, *, within_s: float, body: Mapping[str, object] | None = None
    ) -> Reply:
        """One question on a connection of its own; every failure is a Reply that says so."""
        deadline_s = clock.now() + within_s
        data = None if body is None else json.dumps(body).encode()
        headers = {**PROBE, "Host": self.host_header, **self.authorization()}
        headers |= {} if data is None else {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self.host, self.port)
        with closing(connection):
            try:
                connection.sock = self.connect(within_s)
                connection.request(method, self.path + path, body=data, headers=headers)
                sock: socket.socket = connection.sock
                answer = connection.getresponse()
                received = bytearray()
                while len(received) < ANSWER_BYTES_MAX:
                    left_s = deadline_s - clock.now()
                    if left_s <= 0:
                        raise TimeoutError
                    sock.settimeout(left_s)
                    if not (piece := answer.read1(65536)):
                        return Reply(answer.status, bytes(received))
                    received += piece
            except TimeoutError:
                return Reply(None, problem=f"no whole answer within {within_s:g} s")
            except (OSError, http.client.HTTPException) as error:
                return Reply(None, problem=_words(error))
        return Reply(None, problem=f"an answer of more than {ANSWER_BYTES_MAX} bytes")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); name yours as ca_file"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, socket.gaierror):
        return "its name cannot be looked up"
    return f"no answer ({type(error).__name__})"


def endpoint_of(url: str, *, ca_file: str | None = None, api_key_env: str | None = None) -> Endpoint:
    """Raises StackError for what is no address of a server, and for one that carries a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StackError(f"the target's URL: {error}; write http://host:port") from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise StackError(
            "the target's URL must hold no user, password, query or fragment, since it is written into reports; "
            "put the key into an environment variable and name that as external.api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StackError(f"'{url}' is not the address of a server; write http://host:port or https://host")
    path = parts.path.rstrip("/").removesuffix("/v1")
    port = port or {"http": 80, "https": 443}[parts.scheme]
    return Endpoint(parts.scheme, parts.hostname, port, path, ca_file, api_key_env)
