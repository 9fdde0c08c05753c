"""What a replica can be told, by command line, environment or a named protection."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from target_service.observability.settings import ObservabilitySettings, take_settings
from target_service.protocol.environment import parse_with_environment
from target_service.replica.nan_guard import NanGuardMode
from target_service.replica.options import BatchingMode, make_parser
from target_service.replica.process_settings import (
    MemorySettings,
    ProcessSettings,
    memory_settings,
    process_settings,
)
from target_service.replica.protection import PROTECTIONS

__all__ = ["BatchingMode", "CacheKeyKind", "EngineSettings", "HealthSettings", "HttpSettings", "NeighbourSettings",
           "ReplicaSettings", "WatchdogSettings", "parse_arguments"]  # fmt: skip

CacheKeyKind = Literal["full", "prompt-only"]
WatchdogClock = Literal["monotonic", "wall"]


@dataclass(frozen=True)
class EngineSettings:
    """Limits of the engine; `token_cost_s` is slept for every step, as a slower model would. A limit of 0 is none."""

    token_cost_s: float = 0.002
    queue_max: int = 64
    queue_timeout_s: float = 10.0
    run_timeout_s: float = 60.0
    active_max: int = 16
    batching: BatchingMode = "continuous"
    batch_max: int = 8
    batch_wait_s: float = 0.01
    cancel_on_disconnect: bool = True
    nan_guard: NanGuardMode = "off"
    requests_in_shm: bool = False
    """Users' requests go to the engine's process through shared memory and not over the connection."""


@dataclass(frozen=True)
class WatchdogSettings:
    """How long the engine may stand still with work before the process ends; `limit_s` 0: for ever.

    `clock`: what the time is counted by; `wall` is a defect, for it can be set.
    """

    limit_s: float = 0.0
    exit_code: int = 70
    clock: WatchdogClock = "monotonic"


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
class NeighbourSettings:
    """Whom a replica speaks to: a gateway to register with, and a replica whose settings it follows."""

    register_with: str | None = None
    register_token: str | None = field(default=None, repr=False)
    advertise_url: str = ""
    lease_s: float = 10.0
    follow: str | None = None
    follow_every_s: float = 1.0


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
    process: ProcessSettings
    memory: MemorySettings
    observability: ObservabilitySettings = field(default_factory=ObservabilitySettings)
    neighbours: NeighbourSettings = NeighbourSettings()
    hub_url: str | None = None
    """With one, `model` is a repository of that hub and is fetched at every start, into `download_to`."""
    download_to: Path | None = None


def parse_arguments(argv: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> ReplicaSettings:
    """Read command line and environment; argparse exits with 2 on a usage error."""
    parser = make_parser()
    args = parse_with_environment(parser, "TARGET_REPLICA", PROTECTIONS, argv, environ)
    model, hub_url = _source(parser, args)
    return ReplicaSettings(
        model=model,
        hub_url=hub_url,
        port=args.port,
        host=args.host,
        name=args.name,
        dtype=args.dtype,
        disable_mmap=args.disable_mmap == "on",
        threads=args.threads,
        verify_weights=args.verify_weights,
        verify_every_s=args.verify_every_s,
        on_bad_model=args.on_bad_model,
        drain_s=args.drain_s,
        warmup_tokens=args.warmup_tokens,
        early_ready=args.early_ready == "on",
        slow_load_s=args.slow_load_s,
        service=args.service,
        engine=_engine(args),
        watchdog=WatchdogSettings(args.watchdog_s, args.engine_death_exit_code, args.watchdog_clock),
        health=HealthSettings(args.health_mode == "deep", args.health_probe_s, args.health_stall_s),
        http=HttpSettings(
            faults_token=_faults_token(parser, args),
            validate=args.validate == "on",
            cache_size=args.cache_size,
            cache_ttl_s=args.cache_ttl_s,
            cache_key=args.cache_key,
            qps_limit=args.qps_limit,
            sse_heartbeat_s=args.sse_heartbeat_s,
            stream_error_event=args.stream_error_event == "on",
            keepalive_s=args.keepalive_s,
        ),
        process=process_settings(args),
        memory=memory_settings(args),
        observability=take_settings(vars(args)),
        neighbours=_neighbours(parser, args),
    )


def _source(parser: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[Path, str | None]:
    """Where the model is: a folder, or a repository and the hub that holds it."""
    if args.model_source == "local":
        # A link is followed once: a switch of `current` must not mix the files of two releases.
        return args.model.resolve(), None
    if args.hub_url is None:
        parser.error("--model-source remote needs --hub-url, the hub that holds --model")
    return args.model, args.hub_url


def _neighbours(parser: argparse.ArgumentParser, args: argparse.Namespace) -> NeighbourSettings:
    if args.register_with and args.register_token_file is None:
        parser.error("--register-with needs --register-token-file")
    if args.register_with and not args.advertise_url and args.host in ("0.0.0.0", "::"):  # noqa: S104  looked for
        parser.error(f"--register-with needs --advertise-url where --host is {args.host}")
    return NeighbourSettings(
        register_with=args.register_with,
        register_token=args.register_token_file,
        advertise_url=args.advertise_url or f"http://{args.host}:{args.port}",
        lease_s=args.lease_s,
        follow=args.follow,
        follow_every_s=args.follow_every_s,
    )


def _engine(args: argparse.Namespace) -> EngineSettings:
    return EngineSettings(
        token_cost_s=args.token_cost_ms / 1000,
        queue_max=args.max_queue,
        queue_timeout_s=args.queue_timeout_s,
        run_timeout_s=args.run_timeout_s,
        active_max=args.max_active,
        batching=args.batching,
        batch_max=args.batch_max,
        batch_wait_s=args.batch_wait_ms / 1000,
        cancel_on_disconnect=args.cancel_on_disconnect == "on",
        nan_guard=args.nan_guard,
        requests_in_shm=args.requests_in_shm == "on",
    )


def _faults_token(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str | None:
    """The token itself, or the first line of its file; a file that cannot be used ends the program with 2."""
    path: Path | None = args.faults_token_file
    if args.faults_token is not None or path is None:
        given: str | None = args.faults_token
        return given
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--faults-token-file {path}: cannot be read: {error}")
    if not token:
        parser.error(f"--faults-token-file {path}: is empty; write a token into it, or leave the option out")
    return token
