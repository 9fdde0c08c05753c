"""The smallest schedule that still fails: delta debugging over a scenario's faults, their lengths and their strength.

Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (IEEE TSE 28, 2002), for the faults: halves and
their complements first, then smaller pieces. Numbers are bisected towards zero. Load, phases and limits stay: with less
to observe, other things would fail. Which way a number is weaker is known for those in WEAKER_WHEN_LESS alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.model.fault import Fault
from harness.model.scenario import Scenario

__all__ = ["WEAKER_WHEN_LESS", "CutOff", "Shrunk", "shrink"]

WEAKER_WHEN_LESS = frozenset(
    {
        *("for_s", "slow_load_s", "latency_ms", "jitter_ms", "delay_ms", "stall_ms", "toxicity", "flips_per_million"),
        *("count", "share", "block_bytes", "mb", "slots", "connections", "clients", "words", "output_tokens"),
        *("weights.bit_flip.bits", "traffic.burst.rate_per_s", "traffic.abandon.rate_per_s"),
        "traffic.long_prompt.rate_per_s",
    }
)
BISECTIONS = 4  # a number is known to a sixteenth of what it was

StillFails = Callable[[Scenario], bool | None]  # None: not known, so the candidate is not taken; may raise CutOff


class CutOff(Exception):
    """No more is tried; its words say why."""


@dataclass
class Shrunk:
    """Where it is now, and how it came there."""

    scenario: Scenario
    steps: list[str] = field(default_factory=list)
    tried: int = 0
    ended_by: Exception | None = None  # before nothing smaller was left to try

    def take(self, candidate: Scenario, what: str, still_fails: StillFails) -> bool:
        """Go on from the candidate if it still fails."""
        if candidate == self.scenario:
            return False
        self.tried += 1
        if not still_fails(candidate):
            return False
        self.scenario = candidate
        self.steps.append(what)
        return True


def shrink(scenario: Scenario, still_fails: StillFails) -> Shrunk:
    """Smaller and smaller, until nothing that is tried fails any more.

    Raises nothing: what `still_fails` raises ends the search and is returned with what was found by then.
    """
    found = Shrunk(scenario)
    try:
        _search(found, still_fails)
    except Exception as error:  # noqa: BLE001  whatever it is, it must not take hours of runs with it
        found.ended_by = error
    return found


def _search(found: Shrunk, still_fails: StillFails) -> None:
    if found.scenario.episodes > 1:
        found.take(dataclasses.replace(found.scenario, episodes=1), "one episode", still_fails)
    _fewer_faults(found, still_fails)
    for index in range(len(found.scenario.faults)):
        for name in _numbers(found.scenario.faults[index]):
            _less(found, index, name, still_fails)


def _fewer_faults(found: Shrunk, still_fails: StillFails) -> None:
    """ddmin; a scenario keeps at least one fault."""
    pieces = 2
    while (n := len(found.scenario.faults)) > 1:
        pieces = min(pieces, n)
        faults = found.scenario.faults
        if any(_only(found, faults, chosen, still_fails) for chosen in _choices(n, pieces)):
            pieces = 2
        elif pieces == n:
            return
        else:
            pieces *= 2


def _choices(n: int, pieces: int) -> Iterator[tuple[int, ...]]:
    """Each piece of 0..n-1 alone, then everything but it."""
    cuts = [round(n * k / pieces) for k in range(pieces + 1)]
    parts = [tuple(range(low, high)) for low, high in itertools.pairwise(cuts)]
    yield from parts
    if pieces > 2:
        yield from (tuple(k for k in range(n) if k not in part) for part in parts)


def _only(found: Shrunk, faults: Sequence[Fault], chosen: tuple[int, ...], still_fails: StillFails) -> bool:
    kept = tuple(faults[k] for k in chosen)
    words = f"only {', '.join(f'{fault.kind} on {fault.on}' for fault in kept)}"
    return found.take(dataclasses.replace(found.scenario, faults=kept), words, still_fails)


def _numbers(fault: Fault) -> list[str]:
    """Fields that can be made weaker."""
    names = [one.name for one in dataclasses.fields(fault)]
    return [
        name
        for name in names
        if (name in WEAKER_WHEN_LESS or f"{fault.kind}.{name}" in WEAKER_WHEN_LESS) and getattr(fault, name)
    ]


def _less(found: Shrunk, index: int, name: str, still_fails: StillFails) -> None:
    """Bisect between 0, which is no fault, and the value that is known to fail."""
    low = 0.0
    for _ in range(BISECTIONS):
        fault = found.scenario.faults[index]
        value = getattr(fault, name)
        half = (low + value) / 2
        less: float = int(half) if isinstance(value, int) else round(half, 3)
        if less in (low, value):
            return
        faults = list(found.scenario.faults)
        changed: dict[str, Any] = {name: less}
        faults[index] = dataclasses.replace(fault, **changed)
        words = f"{fault.kind} on {fault.on}: {name} {value:g} -> {less:g}"
        if not found.take(dataclasses.replace(found.scenario, faults=tuple(faults)), words, still_fails):
            low = less
