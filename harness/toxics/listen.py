"""Addresses as Go writes and reads them, and the errors in its words: clients show them to their users."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from dataclasses import dataclass

__all__ = ["Bind", "ListenError", "Target", "literal", "open_listener", "parse", "resolve", "shown"]

BACKLOG = 4096  # connections; the kernel takes less where somaxconn says so
Target = tuple[int, tuple[str, int]]  # family, address


class ListenError(Exception):
    """It cannot listen there; the message is the one of the official server."""


@dataclass(frozen=True)
class Bind:
    """Where to listen, resolved. An empty host: every interface."""

    host: str
    port: int

    @property
    def text(self) -> str:
        return shown(self.host, self.port)


def shown(host: str, port: int) -> str:
    """`127.0.0.1:80`, `[::1]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(text: str) -> tuple[str, int]:
    """Host and port. Raises ListenError."""
    if not text:
        return "", 0
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ListenError(f"address {text}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"address {text}: too many colons in address")
    if "[" in host or "]" in host:
        raise ListenError(f"address {text}: unexpected '[' in address")
    return host, _port(port)


def _port(text: str) -> int:
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        if len(text) <= 5 and int(text) <= 65535:
            return int(text)
        raise ListenError(f"address {text[:20]}: invalid port")
    with contextlib.suppress(OSError, ValueError, UnicodeError):
        return socket.getservbyname(text, "tcp")
    raise ListenError(f"lookup tcp/{text}: unknown port")


def literal(host: str) -> str | None:
    """The address that a text is, without asking anyone; None: a name."""
    if host in ("", "localhost"):
        return "127.0.0.1" if host else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


async def resolve(text: str) -> Bind:
    """Where a proxy's `listen` is. Raises ListenError."""
    host, port = parse(text)
    found = literal(host)
    if found is None:
        found = (await look_up(host, port))[0][1][0]
    return Bind(found, port)


async def look_up(host: str, port: int) -> list[Target]:
    """The addresses of a name, IPv4 first. Raises ListenError."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise ListenError(f"lookup {host}: no such host") from None
    targets: list[Target] = [(info[0], (str(info[4][0]), port)) for info in infos]
    return sorted(targets, key=lambda target: target[0] != socket.AF_INET)


def open_listener(bind: Bind) -> socket.socket:
    """A listening socket that does not block. Raises ListenError."""
    sock = None
    try:
        sock = _bound(bind)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ListenError(f"listen tcp {bind.text}: bind: {reason}") from None
    sock.setblocking(False)
    return sock


def _bound(bind: Bind) -> socket.socket:
    every = bind.host in ("", "0.0.0.0", "::")  # noqa: S104  told so by whoever made the proxy
    both = every and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or (":" in bind.host) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::" if both else bind.host, bind.port))
    except BaseException:
        sock.close()
        raise
    return sock
