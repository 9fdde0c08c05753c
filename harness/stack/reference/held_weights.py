"""Whether what a replica serves from differs from the pristine model, by the strongest evidence there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.record.clock import Clock
from harness.stack.base import TargetProcess, Weights
from harness.stack.http_get import get_json
from harness.stack.owned import children
from harness.stack.reference.model_source import pristine_params_sha256
from harness.stack.reference.serving_bytes import Mapping as MappedFile
from harness.stack.reference.serving_bytes import altered_mapping, mapped_weights

__all__ = ["Replica", "held_parts", "held_weights"]

ANSWER_WITHIN_S = 0.9
PARTS = ("config", "tokenizer")


@dataclass(frozen=True)
class Replica:
    """Where a replica listens and what it should serve."""

    name: str
    url: str
    pristine: Path  # the model folder that its copy was made of


def held_weights(replica: Replica, process: TargetProcess | None, last_exit: str | None, clock: Clock) -> Weights:
    """Its memory is asked first, then the replica itself. `last_exit`: how its last process ended, if one did."""
    if process is None:
        return Weights(None, f"no process: {last_exit or 'it was never started'}", last_exit=last_exit)
    return replace(_held_by(process, replica, clock), last_exit=last_exit)


def _held_by(process: TargetProcess, replica: Replica, clock: Clock) -> Weights:
    # A server may hold the model itself, or in an engine process that it started.
    for pid in (process.pid, *children(process.pid)):
        mappings = mapped_weights(pid)
        if mappings:
            return _mapped(pid, mappings, replica, clock)
    return _own_digest(replica, process, clock)


def _mapped(pid: int, mappings: Sequence[MappedFile], replica: Replica, clock: Clock) -> Weights:
    """What a process has mapped."""
    try:
        altered = altered_mapping(pid, mappings, replica.pristine)
    except ProcessLookupError:
        return Weights(None, f"no process: {pid} has just ended")
    except PermissionError as error:
        return Weights(None, f"memory of process {pid} may not be read: {error.strerror}")
    source = f"memory of process {pid}, mapped file"
    return Weights(altered, source, None if altered else _refused(replica, clock))


def held_parts(replica: Replica, clock: Clock) -> Mapping[str, str]:
    """What a replica says of its configuration and tokenizer in memory."""
    answer = get_json(f"{replica.url}/weights", clock=clock, total_s=ANSWER_WITHIN_S)
    if answer is None or answer.status != 200:
        return {}
    digests = {part: answer.body.get(f"{part}_sha256") for part in PARTS}
    return {part: digest for part, digest in digests.items() if isinstance(digest, str)}


def _refused(replica: Replica, clock: Clock) -> str | None:
    """What a replica says that does not serve since one of its detectors fired."""
    answer = get_json(f"{replica.url}/ready", clock=clock, total_s=ANSWER_WITHIN_S)
    if answer is None or answer.status == 200 or not answer.body.get("detector"):
        return None
    return str(answer.body.get("reason"))


def _own_digest(replica: Replica, process: TargetProcess, clock: Clock) -> Weights:
    """What a replica that holds a copy says of it."""
    answer = get_json(f"{replica.url}/weights", clock=clock, total_s=ANSWER_WITHIN_S)
    if answer is None:
        return Weights(None, f"process {process.pid} holds no mapped file and does not answer GET /weights")
    digest, pristine = answer.body.get("params_sha256"), pristine_params_sha256(replica.pristine)
    if answer.status != 200 or not digest:
        source = f"GET /weights: status {answer.status}, {answer.body.get('reason', 'no digest')}"
        return Weights(None, source, _refused(replica, clock))
    if pristine is None:
        return Weights(None, f"{replica.pristine / 'golden.json'}: holds no params_sha256 to compare with")
    altered = digest != pristine
    return Weights(altered, "GET /weights", None if altered else _refused(replica, clock))
