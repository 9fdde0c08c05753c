"""What of the environment a plan depends on. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.model.plan import HIDDEN
from harness.model.target import TargetOptions

__all__ = ["in_effect", "on_the_command_line"]

PARTS = {"TARGET_GATEWAY_": "gateway", "TARGET_REPLICA_": "replica"}
PLACED = {"gateway": {"port", "replica", "golden"}, "replica": {"model", "port", "name"}}  # by the harness, always


def in_effect(environment: Mapping[str, str], target: TargetOptions) -> dict[str, str]:
    """Without what the command lines of gateway and replicas outrank: the scenario's options, and the harness's own."""
    return {name: value for name, value in environment.items() if not _outranked(name, target)}


def _outranked(name: str, target: TargetOptions) -> bool:
    for prefix, part in PARTS.items():
        if name.startswith(prefix):
            option = name.removeprefix(prefix).lower()
            named = {"protection"} if target.protection != "default" else set()
            return option in PLACED[part] | named | set(getattr(target, part))
    return False


def on_the_command_line(environment: Mapping[str, str]) -> str:
    """What stands before a command that repeats a run: NAME=value for each, and what the shell has for a secret."""
    values = {name: f'"${name}"' if value == HIDDEN else shlex.quote(value) for name, value in environment.items()}
    return "".join(f"{name}={value} " for name, value in values.items())
