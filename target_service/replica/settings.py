"""What a replica can be told on its command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from target_service.replica.nan_guard import NanGuardMode
from target_service.replica.protection import PROTECTIONS
from target_service.services.choice import SERVICES

__all__ = ["CacheKeyKind", "EngineSettings", "HealthSettings", "HttpSettings", "ReplicaSettings", "WatchdogSettings",
           "parse_arguments"]  # fmt: skip

ON_OFF = ("on", "off")
CacheKeyKind = Literal["full", "prompt-only"]


@dataclass(frozen=True)
class EngineSettings:
    """Limits of the engine; `token_cost_s` is slept for every step, as a slower model would. A limit of 0 is none."""

    token_cost_s: float = 0.002
    queue_max: int = 64
    queue_timeout_s: float = 10.0
    run_timeout_s: float = 60.0
    active_max: int = 8
    cancel_on_disconnect: bool = True
    nan_guard: NanGuardMode = "off"


@dataclass(frozen=True)
class WatchdogSettings:
    """How long the engine may stand still with work before the process ends; `limit_s` 0: for ever."""

    limit_s: float = 0.0
    exit_code: int = 70


@dataclass(frozen=True)
class HealthSettings:
    """What /health and /ready look at; with `deep` also whether a probe sees the engine make progress."""

    deep: bool = False
    probe_s: float = 0.5
    stall_s: float = 2.0


@dataclass(frozen=True)
class HttpSettings:
    """What the HTTP side does; without a token there are no fault endpoints, with size 0 no cache."""

    faults_token: str | None = field(default=None, repr=False)
    validate: bool = True
    cache_size: int = 0
    cache_ttl_s: float = 60.0
    cache_key: CacheKeyKind = "full"
    qps_limit: float = 0.0
    sse_heartbeat_s: float = 0.0
    stream_error_event: bool = True
    keepalive_s: float = 3630.0


@dataclass(frozen=True)
class ReplicaSettings:
    """A replica: where it listens, what it loads, how far it trusts the files."""

    model: Path
    port: int
    host: str
    name: str
    dtype: str
    disable_mmap: bool
    threads: int
    verify_weights: str
    verify_every_s: float
    on_bad_model: str
    drain_s: float
    warmup_tokens: int
    early_ready: bool
    slow_load_s: float
    service: str
    engine: EngineSettings
    watchdog: WatchdogSettings
    health: HealthSettings
    http: HttpSettings


def parse_arguments(argv: list[str] | None = None) -> ReplicaSettings:
    """Read the command line; argparse exits with 2 on a usage error."""
    parser = _parser()
    chosen, _ = parser.parse_known_args(argv)
    # A set only moves the defaults, so whatever else is on the command line wins.
    parser.set_defaults(**PROTECTIONS[chosen.protection])
    args = parser.parse_args(argv)
    engine = EngineSettings(
        token_cost_s=args.token_cost_ms / 1000,
        queue_max=args.max_queue,
        queue_timeout_s=args.queue_timeout_s,
        run_timeout_s=args.run_timeout_s,
        active_max=args.max_active,
        cancel_on_disconnect=args.cancel_on_disconnect == "on",
        nan_guard=args.nan_guard,
    )
    return ReplicaSettings(
        model=args.model,
        port=args.port,
        host=args.host,
        name=args.name,
        dtype=args.dtype,
        disable_mmap=args.disable_mmap,
        threads=args.threads,
        verify_weights=args.verify_weights,
        verify_every_s=args.verify_every_s,
        on_bad_model=args.on_bad_model,
        drain_s=args.drain_s,
        warmup_tokens=args.warmup_tokens,
        early_ready=args.early_ready,
        slow_load_s=args.slow_load_s,
        service=args.service,
        engine=engine,
        watchdog=WatchdogSettings(args.watchdog_s, args.engine_death_exit_code),
        health=HealthSettings(args.health_mode == "deep", args.health_probe_s, args.health_stall_s),
        http=HttpSettings(
            faults_token=args.faults_token,
            validate=args.validate == "on",
            cache_size=args.cache_size,
            cache_ttl_s=args.cache_ttl_s,
            cache_key=args.cache_key,
            qps_limit=args.qps_limit,
            sse_heartbeat_s=args.sse_heartbeat_s,
            stream_error_event=args.stream_error_event == "on",
            keepalive_s=args.keepalive_s,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m target_service.replica",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="model folder")
    add("--port", type=int, required=True)
    add("--host", default="127.0.0.1")
    add("--service", choices=("auto", *SERVICES), default="auto", help="auto: as the model folder says")
    add("--name", default="primary", help="X-Served-By of every reply")
    add("--dtype", choices=("auto", "float32", "float16", "bfloat16"), default="auto")
    add("--disable-mmap", action="store_true", help="copy the parameters instead of mapping them")
    add("--threads", type=int, default=1, help="torch threads")
    add("--token-cost-ms", type=float, default=2.0, help="slept per step; a step gives every running request one token")
    add("--max-active", type=int, default=8, help="requests that take turns in the engine")
    add("--warmup-tokens", type=int, default=2, help="generated before ready; 0: the first user warms it up")
    add("--drain-s", type=float, default=5.0, help="longest wait for open requests on SIGTERM")
    add("--protection", choices=tuple(PROTECTIONS), default="default", help="other defaults; single options still win")
    _add_limits(parser.add_argument_group("limits"))
    _add_health(parser.add_argument_group("health and integrity"))
    _add_connections(parser.add_argument_group("connections and answers"))
    _add_faults(parser.add_argument_group("faults"))
    return parser


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-queue", type=int, default=64, help="waiting requests before 429; 0: no limit")
    add("--queue-timeout-s", type=float, default=10.0, help="waiting longer than this is a 503; 0: no limit")
    add("--run-timeout-s", type=float, default=60.0, help="generating longer than this is a 504; 0: no limit")
    add("--qps-limit", type=float, default=0.0, help="more user requests a second are 429; 0: no limit")
    add("--validate", choices=ON_OFF, default="on", help="off: no bounds on parameters and prompt length")
    add("--cancel-on-disconnect", choices=ON_OFF, default="on", help="off: generate on for a client that has left")


def _add_health(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--health-mode", choices=("shallow", "deep"), default="shallow", help="deep: not healthy if the engine hangs")
    add("--health-probe-s", type=float, default=0.5, help="from one deep probe's begin to the next one's")
    add("--health-stall-s", type=float, default=2.0, help="no progress for this long is not healthy")
    add("--watchdog-s", type=float, default=0.0, help="work and no step for this long ends the process; 0: never")
    add("--engine-death-exit-code", type=int, default=70, help="of that end; 0: no supervisor restarts it")
    add("--verify-weights", choices=("off", "start", "periodic"), default="start", help="by manifest, finite, golden")
    add("--verify-every-s", type=float, default=10.0, help="with periodic: from a check's end to the next one's begin")
    add("--on-bad-model", choices=("exit", "stay"), default="exit", help="exit: with code 78")
    add("--nan-guard", choices=("off", "count", "abort"), default="off", help="non-finite logits: in metrics, or a 500")


def _add_connections(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--sse-heartbeat-s", type=float, default=0.0, help="a comment line in a stream silent for this long; 0: none")
    add("--stream-error-event", choices=ON_OFF, default="on", help="off: a stream that fails just ends")
    add("--keepalive-s", type=float, default=3630.0, help="an idle connection is closed then; more than the client's")
    add("--cache-size", type=int, default=0, help="answers kept; 0: none")
    add("--cache-ttl-s", type=float, default=60.0, help="until a kept answer is too old")
    add(
        "--cache-key",
        choices=("full", "prompt-only"),
        default="full",
        help="prompt-only: a defect, mixes up answers",
    )


def _add_faults(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--faults-token", metavar="TOKEN", help="opens /faults to requests with this X-Fault-Token; without it: closed")
    add("--early-ready", action="store_true", help="a fault: says ready before the model is loaded")
    add("--slow-load-s", type=float, default=0.0, help="a fault: loading takes this much longer")
