"""What a gateway can be told on its command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from target_service.gateway.protection import PROTECTIONS
from target_service.gateway.routing import STRATEGIES
from target_service.observability.settings import ObservabilitySettings, add_options, take_settings
from target_service.protocol.environment import Repeated, parse_with_environment

__all__ = ["GatewaySettings", "ReplicaAddress", "parse_arguments"]

Reuse = Literal["none", "users", "beats", "all"]


@dataclass(frozen=True)
class ReplicaAddress:
    """A replica's name and base URL, without a slash at its end; a backup serves when no other can."""

    name: str
    url: str
    weight: int = 1
    backup: bool = False


@dataclass(frozen=True)
class GatewaySettings:
    """A gateway: whom it serves from, in order of preference, how it watches them, what else protects users.

    A protection whose number is 0 is off.
    """

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
    fingerprint_texts: int = 0
    strategy: str = "active-standby"
    breaker_failures: int = 0
    breaker_open_s: float = 5.0
    breaker_probes: int = 1
    retry_share: float = 0.0
    retry_max: int = 2
    retry_backoff_s: float = 0.05
    hedge_after_s: float = 0.0
    eject_failures: int = 0
    rate_limit_per_s: float = 0.0
    rate_limit_burst: int = 20
    drain_s: float = 4.0
    keepalive_s: float = 3630.0
    seed: int | None = None
    observability: ObservabilitySettings = field(default_factory=ObservabilitySettings)
    try_timeout_s: float = 0.0
    stale_address_s: float = 0.0
    reuse_connections: Reuse = "users"
    stream_stall_s: float = 0.0
    golden_streams: bool = False
    open_files: int = 0
    api_keys_file: Path | None = None
    login_failures: int = 5
    login_window_s: float = 60.0
    login_lock_s: float = 60.0
    register_token_file: Path | None = None
    admin_token_file: Path | None = None


def parse_arguments(argv: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> GatewaySettings:
    """Read command line and environment; argparse exits with 2 on a usage error."""
    parser = _parser()
    values = vars(parse_with_environment(parser, "TARGET_GATEWAY", PROTECTIONS, argv, environ))
    names = [replica.name for replica in values["replicas"]]
    if len(set(names)) != len(names):
        parser.error("--replica: every replica needs a name of its own")
    if not names and values["register_token_file"] is None:
        parser.error("--replica is required, unless replicas register themselves (--register-token-file)")
    del values["protection"]
    values["replicas"] = tuple(values["replicas"])
    for switch in ("failback", "golden_streams"):
        values[switch] = values[switch] == "on"
    values["observability"] = take_settings(values)
    return GatewaySettings(**values)


def _address(text: str) -> ReplicaAddress:
    address, *marks = text.split(",")
    name, equals, url = address.partition("=")
    if not (name and equals and url.startswith(("http://", "https://"))):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=http://HOST:PORT")
    given: dict[str, Any] = {}
    for mark in marks:
        key, _, value = mark.partition("=")
        if key == "weight" and value.isdecimal() and int(value) >= 1:
            given["weight"] = int(value)
        elif mark == "backup":
            given["backup"] = True
        else:
            raise argparse.ArgumentTypeError(f"{mark!r} in {text!r} is neither weight=N, N at least 1, nor backup")
    return ReplicaAddress(name, url.rstrip("/"), **given)


def _number(kind: Callable[[str], float], low: float, high: float = float("inf")) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            bounds = f"at least {low:g}" + (f" and at most {high:g}" if high < float("inf") else "")
            raise argparse.ArgumentTypeError(f"{text} is not {bounds}")
        return value

    # argparse names the type when the text is no number at all.
    read.__name__ = "number"
    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m target_service.gateway",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, required=True)
    add("--host", default="127.0.0.1")
    add("--replica", type=_address, action=Repeated, default=(), dest="replicas",
        metavar="NAME=URL[,weight=N][,backup]", help="repeat; in order of preference")  # fmt: skip
    add("--golden", type=Path, help="golden.json; without it any well-formed answer will do")
    add("--beat-s", type=float, help="from one beat's begin to the next one's")
    add("--beat-timeout-s", type=float, help="total time for one beat")
    add("--missed-beats", type=int, help="in a row, until a replica is isolated")
    add("--request-timeout-s", type=float, help="total time for one user request, retries included")
    add("--failback", choices=("on", "off"), help="on: back to the preferred one (active-standby)")
    add("--golden-prompts", type=_number(int, 0), help="right answers before re-admission; 0: a green beat will do")
    add("--golden-timeout-s", type=_number(float, 0.001), help="total time for one golden answer")
    add("--golden-streams", choices=("on", "off"), help="on: golden answers must come as whole streams")
    add("--fingerprint-texts", type=_number(int, 0), help="of fingerprint.json beside --golden, also right; 0: none")
    add("--seed", type=int, help="of the retries' jitter")
    _add_protections(parser)
    _add_access(parser)
    add_options(parser.add_argument_group("logs and metrics"))
    defaults = {each.name: each.default for each in fields(GatewaySettings) if each.default is not MISSING}
    parser.set_defaults(**{**defaults, "failback": "on", "golden_streams": "off"})
    return parser


def _add_protections(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--protection", choices=PROTECTIONS, default="default", help="a named set of the settings below")
    add("--strategy", choices=STRATEGIES, help="who of the admitted gets a request")
    add("--breaker-failures", type=_number(int, 0), help="in a row, until a replica's breaker opens; 0: no breaker")
    add("--breaker-open-s", type=_number(float, 0), help="until an open breaker lets requests probe")
    add("--breaker-probes", type=_number(int, 1), help="requests that must succeed in a half-open breaker")
    add("--retry-share", type=_number(float, 0, 1), help="of requests that may be tried again; 0: none is")
    add("--retry-max", type=_number(int, 1), help="retries of one request")
    add("--retry-backoff-s", type=_number(float, 0), help="longest wait before the first retry; doubles")
    add("--hedge-after-s", type=_number(float, 0), help="until a second replica is asked as well; 0: never")
    add("--eject-failures", type=_number(int, 0), help="of users in a row, until a replica is isolated; 0: never")
    add("--rate-limit-per-s", type=_number(float, 0), help="requests; over it 429; 0: no limit")
    add("--rate-limit-burst", type=_number(int, 1), help="requests at once before the rate limit bites")
    add("--drain-s", type=_number(float, 0), help="for open requests to end after SIGTERM")
    add("--keepalive-s", type=_number(float, 0.001), help="a client's idle connection stays open")
    add("--try-timeout-s", type=_number(float, 0), help="for one try, until its answer begins; 0: no limit of its own")
    add("--stream-stall-s", type=_number(float, 0), help="a stream without a token for so long is ended; 0: it may be")
    add("--open-files", type=_number(int, 0), help="at once, as far as the host allows; 0: as many as it was given")
    add("--reuse-connections", choices=get_args(Reuse), help="whose connections to replicas serve more than once")
    add("--stale-address-s", type=_number(float, 0), help="keep an address that cannot be resolved again; 0: do not")


def _add_access(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--api-keys-file", type=Path, help="a key a line; users must send one; without it everybody is served")
    add("--login-failures", type=_number(int, 0), help="wrong keys of one address, until it is locked out; 0: never")
    add("--login-window-s", type=_number(float, 0.001), help="in which that many wrong keys lock an address out")
    add("--login-lock-s", type=_number(float, 0.001), help="how long an address is locked out")
    add("--register-token-file", type=Path, help="its token lets replicas register themselves; without it: closed")
    add("--admin-token-file", type=Path, help="its token lets a supervisor isolate replicas; without it: closed")
