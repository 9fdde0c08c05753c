"""The smallest schedule that still fails: delta debugging over a scenario's faults, their lengths and their strength.

Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (IEEE TSE 28, 2002), for the faults: halves and
their complements first, then smaller pieces. What is left moves to the episode's begin. Numbers that are weaker when
less are bisected towards zero, those that are weaker when more are doubled; which is which says `weaker.py`, and others
stay. So do load, phases and limits: with less to observe, other things would fail.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.campaign.weaker import WEAKER_WHEN_LESS, WEAKER_WHEN_MORE, doubled, is_in
from harness.model.fault import Fault
from harness.model.scenario import Scenario

__all__ = ["CutOff", "Shrunk", "shrink"]

BISECTIONS = 4  # a number is known to a sixteenth of what it was
DOUBLINGS = 8  # one that is weaker when more, to a factor of two

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
    _sooner(found, still_fails)
    for index in range(len(found.scenario.faults)):
        for field_ in dataclasses.fields(found.scenario.faults[index]):
            _weaker(found, index, field_.name, still_fails)


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


def _sooner(found: Shrunk, still_fails: StillFails) -> None:
    """The first fault at the episode's begin, the others as long after it as they were: nothing happens before it."""
    faults = found.scenario.faults
    first_s = min((fault.at_s for fault in faults), default=0.0)
    if first_s == 0:
        return
    moved = tuple(dataclasses.replace(fault, at_s=round(fault.at_s - first_s, 6)) for fault in faults)
    words = f"{'all faults' if len(faults) > 1 else 'the fault'} {first_s:g} s sooner"
    found.take(dataclasses.replace(found.scenario, faults=moved), words, still_fails)


def _weaker(found: Shrunk, index: int, name: str, still_fails: StillFails) -> None:
    """By one of its fields, if that has a direction."""
    fault = found.scenario.faults[index]
    if getattr(fault, name) and is_in(WEAKER_WHEN_LESS, fault.kind, name):
        _less(found, index, name, still_fails)
    elif is_in(WEAKER_WHEN_MORE, fault.kind, name):
        _more(found, index, name, still_fails)


def _less(found: Shrunk, index: int, name: str, still_fails: StillFails) -> None:
    """Bisect between 0, which is no fault, and the value that is known to fail."""
    low = 0.0
    for _ in range(BISECTIONS):
        value = getattr(found.scenario.faults[index], name)
        half = (low + value) / 2
        less: float = int(half) if isinstance(value, int) else round(half, 3)
        if less in (low, value):
            return
        if not _with(found, index, (name, less), still_fails):
            low = less


def _more(found: Shrunk, index: int, name: str, still_fails: StillFails) -> None:
    """Double while it still fails."""
    for _ in range(DOUBLINGS):
        if not _with(found, index, (name, doubled(found.scenario.faults[index], name)), still_fails):
            return


def _with(found: Shrunk, index: int, change: tuple[str, float], still_fails: StillFails) -> bool:
    """Go on from the scenario with that field of that fault changed, if it still fails."""
    (name, value), fault = change, found.scenario.faults[index]
    changed: dict[str, Any] = {name: value}
    faults = list(found.scenario.faults)
    faults[index] = dataclasses.replace(fault, **changed)
    words = f"{fault.kind} on {fault.on}: {name} {getattr(fault, name):g} -> {value:g}"
    return found.take(dataclasses.replace(found.scenario, faults=tuple(faults)), words, still_fails)
