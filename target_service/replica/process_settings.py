"""The options of processes and memory: where the engine runs, what its death means, how much memory is too much."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

__all__ = ["MemorySettings", "ProcessSettings", "add_process_options", "memory_settings", "process_settings"]

ON_OFF = ("on", "off")


@dataclass(frozen=True)
class ProcessSettings:
    """Whether the engine is a process of its own (`child`), and what follows when that dies."""

    child: bool = True
    monitor: bool = True
    restart: bool = False
    restarts_max: int = 3
    restart_window_s: float = 60.0
    orphan: bool = False


@dataclass(frozen=True)
class MemorySettings:
    """How much memory is too much, as MB of server and engine or as a share of the cgroup's limit; 0: no limit."""

    soft_limit_mb: float = 0.0
    soft_limit_share: float = 0.0
    collect_share: float = 0.8  # of the soft limit
    patience_s: float = 5.0
    look_s: float = 0.5
    exit_code: int = 75

    @property
    def guarded(self) -> bool:
        """Whether there is a limit to watch."""
        return self.soft_limit_mb > 0 or self.soft_limit_share > 0


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to the replica's command line."""
    add = parser.add_argument_group("the engine's process").add_argument
    add("--engine-process", choices=("child", "same"), default="child", help="same: a thread of the server")
    add("--monitor-engine", choices=ON_OFF, default="on", help="off: nobody notices that the engine's process has died")
    add("--restart-engine", choices=ON_OFF, default="off", help="off: the server ends with --engine-death-exit-code")
    add("--engine-restarts-max", type=int, default=3, help="in a window; one more death and the server ends")
    add("--engine-restart-window-s", type=float, default=60.0)
    add("--orphan-engine", choices=ON_OFF, default="off", help="on: the engine's process outlives a server that dies")
    add(
        "--requests-in-shm",
        choices=ON_OFF,
        default="off",
        help="on: to the engine through /dev/shm; none if it is full",
    )
    add = parser.add_argument_group("memory").add_argument
    add("--mem-soft-limit-mb", type=float, default=0.0, help="server and engine; above it requests are 503; 0: none")
    add("--mem-soft-limit-share", type=float, default=0.0, help="the same, of the cgroup's limit; 0: none")
    add("--mem-collect-share", type=float, default=0.8, help="of the soft limit: garbage is collected; 0: never")
    add("--mem-patience-s", type=float, default=5.0, help="above the limit for this long: drain and end")
    add("--mem-look-s", type=float, default=0.5, help="from one look at the memory to the next")
    add("--mem-exit-code", type=int, default=75, help="of that end")


def process_settings(args: argparse.Namespace) -> ProcessSettings:
    """What the command line says of the engine's process."""
    return ProcessSettings(
        child=args.engine_process == "child",
        monitor=args.monitor_engine == "on",
        restart=args.restart_engine == "on",
        restarts_max=args.engine_restarts_max,
        restart_window_s=args.engine_restart_window_s,
        orphan=args.orphan_engine == "on",
    )


def memory_settings(args: argparse.Namespace) -> MemorySettings:
    """What the command line says of memory."""
    return MemorySettings(
        args.mem_soft_limit_mb,
        args.mem_soft_limit_share,
        args.mem_collect_share,
        args.mem_patience_s,
        args.mem_look_s,
        args.mem_exit_code,
    )
