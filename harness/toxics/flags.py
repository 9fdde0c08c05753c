"""The command line: the official server's flags, and those that are ours."""

from __future__ import annotations

import argparse
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from harness.toxics.api import VERSION, Options
from harness.toxics.connection import Policy
from harness.toxics.listen import shown
from harness.toxics.server import Settings

__all__ = ["Address", "parse_address", "parse_arguments"]


@dataclass(frozen=True)
class Address:
    """Where to listen, or what to connect to."""

    host: str
    port: int

    @property
    def text(self) -> str:
        return shown(self.host, self.port)


def parse_address(text: str) -> Address:
    """HOST:PORT, the host an IP address; brackets around an IPv6 address."""
    host, _, port = text.rpartition(":")
    try:
        return Address(str(ipaddress.ip_address(host.strip("[]"))), int(port))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not IP-ADDRESS:PORT") from error


def parse_arguments(argv: Sequence[str] | None) -> Settings:
    """Settings; exits with 2 and a sentence when they make no sense, with 0 after -version."""
    parser = _parser()
    given = parser.parse_args(argv)
    proxies = []
    for name, *addresses in given.proxy:
        try:
            listen, upstream = (parse_address(text) for text in addresses)
        except argparse.ArgumentTypeError as error:
            parser.error(f"--proxy {name}: {error}")
        if not (given.any_interface or ipaddress.ip_address(listen.host).is_loopback):
            parser.error(f"--proxy {name}: {listen.host} is not a loopback address; add --any-interface if you mean it")
        proxies.append((name, listen.text, upstream.text))
    api = not proxies or any(value is not None for value in (given.host, given.port))
    return Settings(
        host=given.host or "localhost",
        port=(8474 if given.port is None else given.port) if api else None,
        config=given.config,
        seed=secrets.randbits(32) if given.seed is None else given.seed,
        policy=Policy(half_close=not given.no_half_close, pass_reset=bool(proxies) or given.pass_reset),
        options=Options(given.proxy_metrics, given.runtime_metrics, given.instance or secrets.token_hex(8)),
        proxies=tuple(proxies),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.toxics",
        description="A Toxiproxy-compatible server. Every flag may be written with one dash or two.",
        allow_abbrev=False,
    )

    def add(name: str, **how: object) -> None:
        parser.add_argument(f"-{name}", f"--{name}", **how)  # type: ignore[arg-type]

    def switch(name: str, text: str) -> None:
        add(name, nargs="?", const=True, default=False, type=_boolean, metavar="BOOL", help=text)

    add("host", metavar="HOST", help="where the API listens (default localhost)")
    add("port", type=_port, metavar="PORT", help="its port (default 8474; 0 takes a free one)")
    add("config", default="", metavar="FILE", help="JSON file of proxies to create at the start")
    add("seed", type=int, metavar="N", help="of all draws: toxicity, jitter, slices (default: another one each time)")
    switch("proxy-metrics", "bytes of each proxy at /metrics")
    switch("runtime-metrics", "the process itself at /metrics")
    switch("no-half-close", "the end of one direction ends both, as in the official server")
    switch("pass-reset", "a reset, or a refused upstream, is a reset on the other side (always so with --proxy)")
    add("instance", default="", metavar="TEXT", help="shown at /harness: says whose server this is")
    add("version", action="version", version=f"toxiproxy-server version {VERSION}")
    text = "make a proxy at the start, or end with 1 when it cannot listen; may be repeated; "
    text += "without -host or -port there is no API"
    names = ("NAME", "LISTEN", "UPSTREAM")
    add("proxy", nargs=3, action="append", default=[], metavar=names, help=text)
    switch("any-interface", "allow --proxy to listen where other hosts reach it")
    return parser


def _boolean(text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return port
