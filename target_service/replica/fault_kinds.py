"""Faults that a replica does to itself on demand: which there are, and their parameters. Pure.

Nothing here is reached without a token (`fault_endpoints`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from target_service.protocol.errors import RequestRejectedError

__all__ = ["KINDS", "Crash", "EarlyReady", "Fault", "Hang", "KillEngine", "LeakMemory", "LeakSlots", "Poison",
           "SlowLoad", "Spin", "StaleCache", "StallStream", "TruncateStream", "parse_fault"]  # fmt: skip


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
    """A process ends at once, without a goodbye; a moment is left for the reply. `where`: server or engine."""

    exit_code: int = 70
    after_s: float = 0.05
    where: str = "server"


@dataclass(frozen=True)
class KillEngine:
    """The engine's process gets a signal, the server none. SIGSTOP (19) lasts until it is cleared."""

    signal: int = 9


@dataclass(frozen=True)
class LeakMemory:
    """Memory that is touched and kept, at once and with every request."""

    mb: int = 64
    kb_per_request: int = 0


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


@dataclass(frozen=True)
class Poison:
    """A request with the marker in a message: it fails, ends the engine's loop, or ends its process."""

    marker: str = "poison-pill"
    effect: str = "crash"


@dataclass(frozen=True)
class StaleCache:
    """Kept answers are given however old they are, and after another model was loaded."""


@dataclass(frozen=True)
class EarlyReady:
    """/ready says yes while there is no model."""


@dataclass(frozen=True)
class SlowLoad:
    """The engine's next process takes this much longer to load."""

    delay_s: float = 10.0


Fault = (
    Hang | Spin | Crash | KillEngine | LeakMemory | LeakSlots | Poison | TruncateStream | StallStream
    | StaleCache | EarlyReady | SlowLoad
)  # fmt: skip

KINDS: dict[str, type[Fault]] = {
    "hang": Hang,
    "spin": Spin,
    "crash": Crash,
    "kill_engine": KillEngine,
    "leak_memory": LeakMemory,
    "leak_slots": LeakSlots,
    "poison": Poison,
    "truncate_stream": TruncateStream,
    "stall_stream": StallStream,
    "stale_cache": StaleCache,
    "early_ready": EarlyReady,
    "slow_load": SlowLoad,
}

NUMBER_MAX = 1e6
MARKER_LENGTH_MAX = 200
LIMITS: dict[str, tuple[float, float]] = {"exit_code": (0, 255), "signal": (1, 64), "mb": (0, 65536)}
CHOICES: dict[str, tuple[str, ...]] = {"where": ("server", "engine"), "effect": ("fail", "kill_loop", "crash")}


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
        problem = _problem(key, defaults[key], value)
        if problem is not None:
            raise RequestRejectedError(400, f"{key} must be {problem}.", param=key)
    return kind(**body)


def _problem(key: str, default: object, value: object) -> str | None:
    """What the value must be, and is not."""
    if isinstance(default, str):
        if key in CHOICES:
            return None if value in CHOICES[key] else f"one of {', '.join(CHOICES[key])}"
        fits = isinstance(value, str) and 0 < len(value) <= MARKER_LENGTH_MAX
        return None if fits else f"a text of 1 to {MARKER_LENGTH_MAX} characters"
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return "an integer" if whole else "a number"
    low, high = LIMITS.get(key, (0, NUMBER_MAX))
    return None if low <= value <= high else f"from {low:g} to {high:g}"
