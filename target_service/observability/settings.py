"""The options about logs and metrics that gateway and replica have in common."""

from __future__ import annotations

import argparse
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["METRIC_NAMES", "ObservabilitySettings", "add_options", "take_settings"]

ON_OFF = ("on", "off")
METRIC_NAMES = ("target", "vllm", "seed", "all")


@dataclass(frozen=True)
class ObservabilitySettings:
    """Without `log_dir` there are no log files; a limit of 0 is none.

    `log_guard` is M20: lines are written by a thread of their own, lost and counted when the disk is full or hangs,
    limited in size and age, and repeated complaints are cut short. Without it a file is just written to.
    """

    log_dir: Path | None = None
    log_guard: bool = True
    log_max_mb: float = 64.0
    log_keep_days: float = 7.0
    log_prompts: bool = False
    slow_request_s: float = 5.0
    metric_names: str = "all"


def add_options(group: argparse._ArgumentGroup) -> None:
    """Declare the options; their defaults are those of ObservabilitySettings."""
    add, default = group.add_argument, ObservabilitySettings()
    add("--log-dir", type=Path, help="folder for access, error and performance logs; without it: stderr alone")
    add("--log-guard", choices=ON_OFF, default="on", help="off: a full or hanging disk is everybody's problem")
    add("--log-max-mb", type=_limit, default=default.log_max_mb, help="all log files of this process together; 0: none")
    add("--log-keep-days", type=_limit, default=default.log_keep_days, help="older log files are removed; 0: never")
    add("--log-prompts", choices=ON_OFF, default="off", help="on: questions and answers are in the access log")
    add("--slow-request-s", type=_limit, default=default.slow_request_s, help="slower ones are reported; 0: none")
    add("--metric-names", choices=METRIC_NAMES, default=default.metric_names, help="under which names /metrics tells")


def take_settings(values: MutableMapping[str, Any]) -> ObservabilitySettings:
    """Take the parsed options out of `values`."""
    return ObservabilitySettings(
        log_dir=values.pop("log_dir"),
        log_guard=values.pop("log_guard") == "on",
        log_max_mb=values.pop("log_max_mb"),
        log_keep_days=values.pop("log_keep_days"),
        log_prompts=values.pop("log_prompts") == "on",
        slow_request_s=values.pop("slow_request_s"),
        metric_names=values.pop("metric_names"),
    )


def _limit(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


# argparse names the type when the text is no number at all.
_limit.__name__ = "number"
