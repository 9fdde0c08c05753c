"""`python -m harness.toxics --listen 127.0.0.1:PORT --upstream 127.0.0.1:PORT`: forward TCP until killed.

SIGTERM keeps its default action, so the process ends at once: there is nothing to save.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import sys
from collections.abc import Sequence

from harness.toxics.forward import Address, serve


def parse_address(text: str) -> Address:
    """HOST:PORT, the host an IP address; brackets around an IPv6 address."""
    host, _, port = text.rpartition(":")
    try:
        return Address(str(ipaddress.ip_address(host.strip("[]"))), int(port))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not IP-ADDRESS:PORT") from error


def parse_arguments(argv: Sequence[str] | None) -> tuple[Address, Address]:
    """The addresses to listen at and to forward to."""
    parser = argparse.ArgumentParser(prog="python -m harness.toxics", description="Forward TCP connections.")
    parser.add_argument("--listen", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--upstream", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--any-interface", action="store_true", help="allow --listen to be reached from other hosts")
    arguments = parser.parse_args(argv)
    if not (arguments.any_interface or ipaddress.ip_address(arguments.listen.host).is_loopback):
        parser.error(f"--listen {arguments.listen.host} is not a loopback address; add --any-interface if you mean it")
    return arguments.listen, arguments.upstream


def main(argv: Sequence[str] | None = None) -> None:
    """Forward until a signal ends the process; exit with a sentence when the port is taken."""
    listen, upstream = parse_arguments(argv)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(listen, upstream))
    except OSError as error:
        sys.exit(f"harness.toxics: cannot listen at {listen.host}:{listen.port}: {error}")


if __name__ == "__main__":
    main()
