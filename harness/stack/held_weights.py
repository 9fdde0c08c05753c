"""Whether what a replica serves from differs from the pristine model, by the strongest evidence there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.record.clock import Clock
from harness.stack.base import TargetProcess, Weights
from harness.stack.http_get import get_json
from harness.stack.model_source import pristine_params_sha256
from harness.stack.owned import children
from harness.stack.serving_bytes import Mapping, altered_mapping, mapped_weights

__all__ = ["Replica", "held_weights"]

ANSWER_WITHIN_S = 0.9


@dataclass(frozen=True)
class Replica:
    """Where a replica listens and what it should serve."""

    name: str
    url: str
    pristine: Path  # the model folder that its copy was made of


def held_weights(replica: Replica, process: TargetProcess | None, last_exit: str | None, clock: Clock) -> Weights:
    """Its memory is asked first, then the replica itself."""
    if process is None:
        return Weights(None, f"no process: {last_exit}" if last_exit else "no process: it was never started")
    # A server may hold the model itself, or in an engine process that it started.
    for pid in (process.pid, *children(process.pid)):
        mappings = mapped_weights(pid)
        if mappings:
            return _mapped(pid, mappings, replica)
    return _own_digest(replica, process, clock)


def _mapped(pid: int, mappings: Sequence[Mapping], replica: Replica) -> Weights:
    """What a process has mapped."""
    try:
        altered = altered_mapping(pid, mappings, replica.pristine)
    except ProcessLookupError:
        return Weights(None, f"no process: {pid} has just ended")
    except PermissionError as error:
        return Weights(None, f"memory of process {pid} may not be read: {error.strerror}")
    return Weights(altered, f"memory of process {pid}, mapped file")


def _own_digest(replica: Replica, process: TargetProcess, clock: Clock) -> Weights:
    """What a replica that holds a copy says of it."""
    answer = get_json(f"{replica.url}/weights", clock=clock, total_s=ANSWER_WITHIN_S)
    if answer is None:
        return Weights(None, f"process {process.pid} holds no mapped file and does not answer GET /weights")
    digest, pristine = answer.body.get("params_sha256"), pristine_params_sha256(replica.pristine)
    if answer.status != 200 or not digest:
        return Weights(None, f"GET /weights: status {answer.status}, {answer.body.get('reason', 'no digest')}")
    if pristine is None:
        return Weights(None, f"{replica.pristine / 'golden.json'}: holds no params_sha256 to compare with")
    return Weights(digest != pristine, "GET /weights")
