"""Faults that a replica does to itself on demand: which there are, which are active, what follows.

Nothing here is reached without a token (`fault_endpoints`). The engine asks `before_round` and
`slots_leaked`, streams ask `truncates` and `stalls`; without an active fault all of them say no.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from target_service.protocol.errors import RequestRejectedError

__all__ = ["KINDS", "Crash", "Fault", "Faults", "Hang", "LeakMemory", "LeakSlots", "Spin", "StallStream",
           "TruncateStream", "parse_fault"]  # fmt: skip

LOOK_AGAIN_S = 0.05
NUMBER_MAX = 1e6


@dataclass(frozen=True)
class Hang:
    """The engine's thread blocks; `for_s` 0: until cleared."""

    for_s: float = 0.0


@dataclass(frozen=True)
class Spin:
    """The engine's thread burns CPU and computes nothing; `for_s` 0: until cleared."""

    for_s: float = 0.0


@dataclass(frozen=True)
class Crash:
    """The process ends at once, without a goodbye; a moment is left for the reply."""

    exit_code: int = 70
    after_s: float = 0.05


@dataclass(frozen=True)
class LeakMemory:
    """Memory that is touched and kept."""

    mb: int = 64


@dataclass(frozen=True)
class LeakSlots:
    """Places in the engine that no request gets any more."""

    slots: int = 1


@dataclass(frozen=True)
class TruncateStream:
    """Every stream ends in good order after that many pieces of text, without finish_reason and [DONE]."""

    events: int = 1


@dataclass(frozen=True)
class StallStream:
    """Every stream falls silent after that many pieces of text until cleared."""

    events: int = 1


Fault = Hang | Spin | Crash | LeakMemory | LeakSlots | TruncateStream | StallStream

KINDS: dict[str, type[Fault]] = {
    "hang": Hang,
    "spin": Spin,
    "crash": Crash,
    "leak_memory": LeakMemory,
    "leak_slots": LeakSlots,
    "truncate_stream": TruncateStream,
    "stall_stream": StallStream,
}


def parse_fault(name: str, body: object) -> Fault:
    """The fault that a request names; raises RequestRejectedError with 404 or 400."""
    kind = KINDS.get(name)
    if kind is None:
        raise RequestRejectedError(404, f"There is no fault {name!r}; there are {', '.join(KINDS)}.")
    if not isinstance(body, Mapping):
        raise RequestRejectedError(400, "The body must be a JSON object.")
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for key, value in body.items():
        if key not in defaults:
            raise RequestRejectedError(400, f"{name} has no parameter {key!r}.", param=str(key))
        whole = isinstance(defaults[key], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise RequestRejectedError(400, f"{key} must be {'an integer' if whole else 'a number'}.", param=key)
        if not 0 <= value <= NUMBER_MAX:
            raise RequestRejectedError(400, f"{key} must be from 0 to {NUMBER_MAX:g}.", param=key)
    return kind(**body)


class Faults:
    """The active faults, at most one of a kind. May be used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: dict[str, tuple[Fault, float]] = {}
        self._changed = threading.Condition()
        self._leaked = b""

    def start(self, name: str, fault: Fault) -> None:
        """Make a fault active, in the place of one of its kind."""
        for_s = fault.for_s if isinstance(fault, Hang | Spin) else 0.0
        until_s = self._clock() + for_s if for_s > 0 else math.inf
        if isinstance(fault, LeakMemory):
            # Not zeros: pages that nobody wrote to are not in memory. First, as there may be no room.
            self._leaked = b"\x01" * (fault.mb * 2**20)
        with self._changed:
            self._active[name] = (fault, until_s)
            self._changed.notify_all()

    def clear(self, name: str) -> bool:
        """End a fault; False when it was not active."""
        was_active = self._get(name) is not None
        with self._changed:
            self._active.pop(name, None)
            if name == "leak_memory":
                self._leaked = b""
            self._changed.notify_all()
        return was_active

    def active(self) -> dict[str, dict[str, Any]]:
        """Names and parameters of what is active."""
        return {name: dataclasses.asdict(fault) for name in KINDS if (fault := self._get(name)) is not None}

    @property
    def memory_leaked_bytes(self) -> int:
        """What is kept by `leak_memory`."""
        return len(self._leaked)

    @property
    def slots_leaked(self) -> int:
        """How many places of the engine are lost."""
        fault = self._get("leak_slots")
        return fault.slots if isinstance(fault, LeakSlots) else 0

    def before_round(self) -> None:
        """Called by the engine's thread before each round: returns when it may compute."""
        with self._changed:
            while self._get("hang") is not None:
                self._changed.wait(LOOK_AGAIN_S)
        while self._get("spin") is not None:
            pass

    def truncates(self, sent: int) -> bool:
        """Whether a stream ends after `sent` pieces."""
        fault = self._get("truncate_stream")
        return isinstance(fault, TruncateStream) and sent >= fault.events

    def stalls(self, sent: int) -> bool:
        """Whether a stream is silent after `sent` pieces."""
        fault = self._get("stall_stream")
        return isinstance(fault, StallStream) and sent >= fault.events

    def _get(self, name: str) -> Fault | None:
        fault, until_s = self._active.get(name, (None, 0.0))
        return fault if fault is not None and self._clock() < until_s else None
