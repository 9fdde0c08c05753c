"""What follows from the faults that are active (`fault_kinds` says which there are).

The engine asks `before_round` and `slots_leaked`, who submits a request `taste`, streams `truncates` and `stalls`;
without an active fault all of them say no. With an engine in a process of its own there is one `Faults` in each
process: the server's `ForwardedFaults` knows all that are active and sends on what happens in the engine.
"""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from target_service.protocol.chat import ChatRequest
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.fault_kinds import (
    KINDS,
    Crash,
    EarlyReady,
    Fault,
    Hang,
    KillEngine,
    LeakMemory,
    LeakSlots,
    Poison,
    SlowLoad,
    Spin,
    StaleCache,
    StallStream,
    TruncateStream,
    parse_fault,
)

__all__ = ["KINDS", "Crash", "Fault", "Faults", "ForwardedFaults", "Hang", "LeakMemory", "LeakSlots", "Spin",
           "StallStream", "TruncateStream", "parse_fault"]  # fmt: skip

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.05


class Faults:
    """The active faults, at most one of a kind. May be used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: dict[str, tuple[Fault, float]] = {}
        self._changed = threading.Condition()
        self._leaked = b""
        self._dripped: list[bytes] = []
        self._loop_is_poisoned = False

    def start(self, name: str, fault: Fault) -> None:
        """Make a fault active, in the place of one of its kind."""
        if isinstance(fault, LeakMemory):
            # Not zeros: pages that nobody wrote to are not in memory. First, as there may be no room.
            self._leaked, self._dripped = b"\x01" * (fault.mb * 2**20), []
        self._note(name, fault)

    def _note(self, name: str, fault: Fault) -> None:
        for_s = fault.for_s if isinstance(fault, Hang | Spin) else 0.0
        until_s = self._clock() + for_s if for_s > 0 else math.inf
        with self._changed:
            self._active[name] = (fault, until_s)
            self._changed.notify_all()

    def clear(self, name: str) -> bool:
        """End a fault; False when it was not active."""
        was_active = self._get(name) is not None
        with self._changed:
            self._active.pop(name, None)
            if name == "leak_memory":
                self._leaked, self._dripped = b"", []
            self._changed.notify_all()
        return was_active

    def active(self) -> dict[str, dict[str, Any]]:
        """Names and parameters of what is active."""
        return {name: dataclasses.asdict(fault) for name in KINDS if (fault := self._get(name)) is not None}

    @property
    def memory_leaked_bytes(self) -> int:
        """What is kept by `leak_memory`."""
        return len(self._leaked) + sum(len(drop) for drop in self._dripped)

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
        if self._loop_is_poisoned:
            # Not an exception that a loop might survive: this one ends the thread, without a word.
            sys.exit()

    def taste(self, request: ChatRequest) -> None:
        """Called before a request is submitted, in the engine's process; raises RequestRejectedError when it fails."""
        leak, poison = self._get("leak_memory"), self._get("poison")
        if isinstance(leak, LeakMemory) and leak.kb_per_request > 0:
            self._dripped.append(b"\x01" * (leak.kb_per_request * 1024))
        if not isinstance(poison, Poison) or not any(poison.marker in one.content for one in request.messages):
            return
        log.warning("a poisoned request: %s", poison.effect)
        if poison.effect == "fail":
            raise RequestRejectedError(500, "The request is poisoned.", code="poisoned")
        if poison.effect == "kill_loop":
            self._loop_is_poisoned = True
        else:
            sys.stderr.flush()
            # A real null pointer: also process 1 of a container dies of it, which ignores signals it sends itself.
            ctypes.string_at(0)

    @property
    def cache_is_stale(self) -> bool:
        """Whether kept answers are given however old they are, and whatever model gave them."""
        return isinstance(self._get("stale_cache"), StaleCache)

    @property
    def claims_ready(self) -> bool:
        """Whether /ready says yes while there is no model."""
        return isinstance(self._get("early_ready"), EarlyReady)

    @property
    def load_delay_s(self) -> float:
        """How much longer the next engine's process takes to load."""
        fault = self._get("slow_load")
        return fault.delay_s if isinstance(fault, SlowLoad) else 0.0

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


class ForwardedFaults(Faults):
    """The server's side when the engine is another process: `send` takes a name, and parameters or, to end it, None."""

    def __init__(
        self, send: Callable[[str, dict[str, Any] | None], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._send = send

    def start(self, name: str, fault: Fault) -> None:
        """Make a fault active where it happens."""
        if _in_engine(fault):
            self._note(name, fault)
            self._send(name, dataclasses.asdict(fault))
        else:
            super().start(name, fault)

    def clear(self, name: str) -> bool:
        """End a fault where it happens; False when it was not active."""
        was_active = super().clear(name)
        self._send(name, None)
        return was_active

    def taste(self, request: ChatRequest) -> None:
        """Nothing here: the engine's process does it."""

    def engine_gone(self) -> None:
        """Its faults have gone with it."""
        for name in KINDS:
            fault = self._get(name)
            if fault is not None and (_in_engine(fault) or isinstance(fault, KillEngine)):
                super().clear(name)


def _in_engine(fault: Fault) -> bool:
    if isinstance(fault, Crash):
        return fault.where == "engine"
    return isinstance(fault, Hang | Spin | LeakMemory | LeakSlots | Poison)
