"""Every option of a replica: its name, its default and a line of help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal, get_args

from target_service.observability.settings import add_options
from target_service.protocol.secret import read_secrets
from target_service.replica.process_settings import add_process_options
from target_service.replica.protection import PROTECTIONS
from target_service.services.choice import SERVICES

__all__ = ["BatchingMode", "make_parser"]

ON_OFF = ("on", "off")
LEASE_S_MIN, LEASE_S_MAX = 0.5, 300.0
BatchingMode = Literal["continuous", "static", "one-by-one", "defective"]


def make_parser() -> argparse.ArgumentParser:
    """The command line; parsing it exits with 2 on a usage error."""
    parser = argparse.ArgumentParser(
        prog="python -m target_service.replica",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        fromfile_prefix_chars="@",
        epilog="@FILE stands for more options, which FILE holds one word a line.",
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="model folder")
    add("--port", type=int, required=True)
    add("--host", default="127.0.0.1")
    add("--model-source", choices=("local", "remote"), default="local", help="remote: --model is fetched at each start")
    add("--hub-url", help="where from, with --model-source remote")
    add("--service", choices=("auto", *SERVICES), default="auto", help="auto: as the model folder says")
    add("--name", default="primary", help="X-Served-By of every reply")
    add("--dtype", choices=("auto", "float32", "float16", "bfloat16"), default="auto")
    _add_switch(parser, "--disable-mmap", help="on: copy the parameters instead of mapping them")
    add("--threads", type=int, default=1, help="torch threads")
    add("--token-cost-ms", type=float, default=2.0, help="slept per step; a step gives every running request one token")
    add("--max-active", type=int, default=16, help="requests that share the engine's forward passes")
    add("--warmup-tokens", type=int, default=2, help="generated before ready; 0: the first user warms it up")
    add("--drain-s", type=float, default=5.0, help="longest wait for open requests on SIGTERM")
    add("--protection", choices=tuple(PROTECTIONS), default="default", help="other defaults; single options still win")
    _add_limits(parser.add_argument_group("limits"))
    _add_batching(parser.add_argument_group("batching"))
    _add_health(parser.add_argument_group("health and integrity"))
    _add_connections(parser.add_argument_group("connections and answers"))
    add_options(parser.add_argument_group("logs and metrics"))
    add_process_options(parser)
    _add_faults(parser.add_argument_group("faults"))
    _add_neighbours(parser.add_argument_group("neighbours"))
    return parser


def _add_switch(group: argparse._ActionsContainer, name: str, **words: str) -> None:
    """A protection or fault that is off by default; the name alone switches it on."""
    group.add_argument(name, nargs="?", choices=ON_OFF, const="on", default="off", **words)  # type: ignore[arg-type]


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-queue", type=int, default=64, help="waiting requests before 429; 0: no limit")
    add("--queue-timeout-s", type=float, default=10.0, help="waiting longer than this is a 503; 0: no limit")
    add("--run-timeout-s", type=float, default=60.0, help="generating longer than this is a 504; 0: no limit")
    add("--qps-limit", type=float, default=0.0, help="more user requests a second are 429; 0: no limit")
    add("--validate", choices=ON_OFF, default="on", help="off: no bounds on parameters and prompt length")
    add("--cancel-on-disconnect", choices=ON_OFF, default="on", help="off: generate on for a client that has left")


def _add_batching(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    modes = get_args(BatchingMode)
    add("--batching", choices=modes, default="continuous", help="who joins when; defective: waits for ever, runs again")
    add(
        "--batch-max", type=_at_least_one, default=8, help="with static and defective: a batch begins when so many wait"
    )
    add("--batch-wait-ms", type=float, default=10.0, help="with static: or when the oldest waited for this long")


def _add_health(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--health-mode", choices=("shallow", "deep"), default="shallow", help="deep: not healthy if the engine hangs")
    add("--health-probe-s", type=float, default=0.5, help="from one deep probe's begin to the next one's")
    add("--health-stall-s", type=float, default=2.0, help="no progress for this long is not healthy")
    add("--watchdog-s", type=float, default=0.0, help="work and no step for this long ends the process; 0: never")
    add("--watchdog-clock", choices=("monotonic", "wall"), default="monotonic", help="wall: a defect, it can be set")
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
    add("--faults-token-file", type=Path, metavar="FILE", help="the same from a file: command lines can be read by all")
    _add_switch(group, "--early-ready", help="a fault: says ready before the model is loaded")
    add("--slow-load-s", type=float, default=0.0, help="a fault: loading takes this much longer")


def _add_neighbours(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--register-with", type=_base_url, metavar="URL", help="of a gateway that follows replicas as they come and go")
    add("--register-token-file", type=_token, metavar="FILE", help="the token that this gateway asks for")
    add("--advertise-url", type=_base_url, metavar="URL", help="where the gateway finds this replica, if not at --host")
    add(
        "--lease-s", type=_seconds, default=10.0, help="the gateway forgets this replica that long after it went silent"
    )
    add("--follow", type=_base_url, metavar="URL", help="of the replica whose settings this one follows")
    add("--follow-every-s", type=_seconds, default=1.0, help="how often it looks at them")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _base_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not http://HOST:PORT")
    return text.rstrip("/")


def _token(text: str) -> str:
    try:
        return read_secrets(Path(text), "the token")[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    value = float(text)
    if not LEASE_S_MIN <= value <= LEASE_S_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEASE_S_MIN:g} to {LEASE_S_MAX:g}")
    return value
