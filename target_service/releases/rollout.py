"""A new version first on one replica, observed for a time, then on the next; back to the old one if anything fails.

Each replica is pointed at a link of its own, ROOT/current.NAME, which `serve-from` makes; so that a replica that
crashes while another one is observed starts again with the version it had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from target_service.releases.store import CURRENT, ReleaseError, Store

__all__ = ["Fleet", "Pace", "Sighting", "link_of", "roll_out", "serve_from"]


@dataclass(frozen=True)
class Sighting:
    """What a replica says of itself; None where it does not answer."""

    ready: bool
    reason: str | None = None
    version: str | None = None
    incarnation: str | None = None


class Fleet(Protocol):
    """The replicas, from outside."""

    def isolate(self, name: str) -> None:
        """Take users away from it before its restart; ReleaseError if that cannot be."""

    def restart(self, name: str) -> None:
        """Have it load what its link leads to; ReleaseError if that could not even be asked for."""

    def look(self, name: str) -> Sighting:
        """Its /ready and /version; never raises for a replica that does not answer."""

    def wrong_answer(self, name: str) -> str | None:
        """Ask it the golden prompts of the release that it serves; None: all were right."""


@dataclass(frozen=True)
class Pace:
    """Times in seconds, and the clock: `wait` spends time."""

    observe_s: float
    ready_within_s: float
    every_s: float
    now: Callable[[], float]
    wait: Callable[[float], None]
    say: Callable[[str], None]


def link_of(name: str) -> str:
    """The link from which a replica serves."""
    return f"{CURRENT}.{name}"


def serve_from(store: Store, names: Sequence[str]) -> None:
    """Give every replica that has none its own link, to what `current` leads to."""
    now = store.linked(CURRENT)
    if now is None:
        raise ReleaseError(f"{store.root} has no {CURRENT}; `publish` and `switch` first.")
    for name in names:
        if store.linked(link_of(name)) is None:
            store.point(link_of(name), now)


def roll_out(store: Store, tag: str, names: Sequence[str], fleet: Fleet, pace: Pace) -> str | None:
    """Bring `tag` to the replicas in that order; None when all serve it, else why it was rolled back.

    `current` is switched last, when every replica has proven the new version.
    """
    store.verify(tag)
    serve_from(store, names)
    touched: list[tuple[str, str | None]] = []
    for name in names:
        try:
            fleet.isolate(name)
        except ReleaseError as error:  # it is not touched, and serves on as it does
            return _back(store, touched, fleet, (pace, f"{name}: {error}"))
        before = store.linked(link_of(name))
        # An earlier roll-out that was killed left its link; what is served for good is `current`.
        touched.append((name, store.linked(CURRENT) if before == tag else before))
        store.switch(tag, link_of(name))
        try:
            problem = _try_on(name, tag, fleet, pace)
        except KeyboardInterrupt:
            problem = "interrupted"
        if problem is not None:
            return _back(store, touched, fleet, (pace, f"{name}: {problem}"))
    store.switch(tag)
    pace.say(f"{CURRENT} leads to {tag}")
    return None


def _try_on(name: str, tag: str, fleet: Fleet, pace: Pace) -> str | None:
    try:
        old = fleet.look(name).incarnation
        fleet.restart(name)
    except ReleaseError as error:
        return str(error)
    seen = _wait_ready(name, old, fleet, pace)
    problem = _problem(seen, tag)
    if problem is None:
        problem = fleet.wrong_answer(name)
    if problem is not None:
        return problem
    pace.say(f"{name} serves {tag} and answers right; observed for {pace.observe_s:g} s")
    return _observe(name, tag, seen.incarnation, (fleet, pace))


def _wait_ready(name: str, old: str | None, fleet: Fleet, pace: Pace) -> Sighting:
    """Until another incarnation is ready, or the time is over: what was seen last."""
    give_up_s = pace.now() + pace.ready_within_s
    while True:
        seen = fleet.look(name)
        if seen.ready and seen.incarnation != old:
            return seen
        if pace.now() >= give_up_s:
            reason = seen.reason or "the old process still answers"
            return Sighting(False, f"not ready within {pace.ready_within_s:g} s ({reason})", seen.version)
        pace.wait(pace.every_s)


def _observe(name: str, tag: str, incarnation: str | None, how: tuple[Fleet, Pace]) -> str | None:
    fleet, pace = how
    end_s = pace.now() + pace.observe_s
    while pace.now() < end_s:
        pace.wait(min(pace.every_s, end_s - pace.now()))
        seen = fleet.look(name)
        problem = _problem(seen, tag)
        if problem is None and seen.incarnation != incarnation:
            problem = "it ended and was started again while it was observed"
        problem = problem or fleet.wrong_answer(name)
        if problem is not None:
            return problem
    return None


def _problem(seen: Sighting, tag: str) -> str | None:
    if not seen.ready:
        return seen.reason or "not ready"
    return None if seen.version == tag else f"it serves version {seen.version}, not {tag}; is it pointed at its link?"


def _back(store: Store, touched: Sequence[tuple[str, str | None]], fleet: Fleet, how: tuple[Pace, str]) -> str:
    """Newest first, links before restarts; a replica that cannot be restarted is named, and the others taken back."""
    pace, problem = how
    left = []
    for name, before in reversed(touched):
        store.point(link_of(name), before)
        try:
            old = fleet.look(name).incarnation
            with suppress(ReleaseError):  # a replica that serves a bad version is worse than one that goes at once
                fleet.isolate(name)
            fleet.restart(name)
            seen = _wait_ready(name, old, fleet, pace)
        except ReleaseError as error:
            seen = Sighting(False, str(error))
        if not seen.ready:
            left.append(f"{name}: {seen.reason}")
    pace.say(f"rolled back: {problem}")
    return f"{problem}; rolled back" + (f", but {'; '.join(left)}" if left else "")
