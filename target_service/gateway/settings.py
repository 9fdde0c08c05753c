"""What a gateway can be told on its command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GatewaySettings", "ReplicaAddress", "parse_arguments"]


@dataclass(frozen=True)
class ReplicaAddress:
    """A replica's name and base URL, without a slash at its end."""

    name: str
    url: str


@dataclass(frozen=True)
class GatewaySettings:
    """A gateway: whom it serves from, in order of preference, and how it watches them."""

    port: int
    host: str
    replicas: tuple[ReplicaAddress, ...]
    golden: Path | None = None
    beat_s: float = 0.25
    beat_timeout_s: float = 0.5
    missed_beats: int = 3
    request_timeout_s: float = 30.0
    failback: bool = True
    golden_prompts: int = 3
    golden_timeout_s: float = 5.0


def parse_arguments(argv: list[str] | None = None) -> GatewaySettings:
    """Read the command line; argparse exits with 2 on a usage error."""
    parser = _parser()
    args = parser.parse_args(argv)
    names = [replica.name for replica in args.replica]
    if len(set(names)) != len(names):
        parser.error("--replica: every replica needs a name of its own")
    return GatewaySettings(
        port=args.port,
        host=args.host,
        replicas=tuple(args.replica),
        golden=args.golden,
        beat_s=args.beat_s,
        beat_timeout_s=args.beat_timeout_s,
        missed_beats=args.missed_beats,
        request_timeout_s=args.request_timeout_s,
        failback=args.failback == "on",
        golden_prompts=args.golden_prompts,
    )


def _address(text: str) -> ReplicaAddress:
    name, equals, url = text.partition("=")
    if not (name and equals and url.startswith(("http://", "https://"))):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=http://HOST:PORT")
    return ReplicaAddress(name, url.rstrip("/"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m target_service.gateway",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, required=True)
    add("--host", default="127.0.0.1")
    add("--replica", type=_address, action="append", required=True, metavar="NAME=URL",
        help="repeat; the first admitted one gets all traffic")  # fmt: skip
    add("--golden", type=Path, help="golden.json; without it any well-formed answer will do")
    add("--beat-s", type=float, default=0.25, help="from one beat's begin to the next one's")
    add("--beat-timeout-s", type=float, default=0.5, help="total time for one beat")
    add("--missed-beats", type=int, default=3, help="in a row, until a replica is isolated")
    add("--request-timeout-s", type=float, default=30.0, help="total time for one user request")
    add("--failback", choices=("on", "off"), default="on", help="on: back to the preferred one")
    add("--golden-prompts", type=int, default=3, help="right answers before re-admission")
    return parser
