"""Whether, and when, a program that has exited is started again. Pure: times and the seed are passed in."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from dataclasses import dataclass

from harness.model.supervision import Supervision

__all__ = ["Decision", "Exit", "RestartBudget", "RestartPolicy"]


class RestartBudget:
    """At most `max_restarts` crashes within `per_s` seconds; the next one is over budget."""

    def __init__(self, max_restarts: int, per_s: float) -> None:
        self._max = max_restarts
        self._per_s = per_s
        self._exits: defaultdict[str, deque[float]] = defaultdict(deque)

    def exited(self, program: str, at_s: float) -> bool:
        """Count a crash; True when the program is over its budget."""
        exits = self._exits[program]
        exits.append(at_s)
        while exits[0] <= at_s - self._per_s:
            exits.popleft()
        return len(exits) > self._max

    def spent(self, program: str) -> int:
        """How many crashes of it are in the window."""
        return len(self._exits[program])


@dataclass(frozen=True)
class Exit:
    """A program's process ended and nobody had asked for it."""

    program: str
    at_s: float
    status: int | None  # None: ended by a signal, or nobody knows
    ran_s: float | None = None  # None: nobody saw it begin


@dataclass(frozen=True)
class Decision:
    """`restart` after `delay_s`, `give_up`, or `leave` it, since that was a normal exit."""

    action: str
    delay_s: float = 0.0
    restarts: int = 0  # within the window, this one included


class RestartPolicy:
    """Exit status first, then the budget, then the wait.

    The wait before the n-th restart in a row is min(backoff_max_s, backoff_s × 2^(n-2)), of which the share `jitter` is
    drawn evenly; the first is at once, so that a single crash costs nobody a wait. Each program draws from its own
    sequence: in which order programs crash changes nothing.
    """

    def __init__(self, options: Supervision, seed: str) -> None:
        self._options = options
        self._seed = seed
        self._budget = RestartBudget(options.max_restarts, options.per_s)
        self._in_a_row: defaultdict[str, int] = defaultdict(int)
        self._draws: dict[str, random.Random] = {}

    def exited(self, ended: Exit) -> Decision:
        """What to do about it; each exit must be asked about once."""
        if ended.status is not None and ended.status in (self._options.normal_exit_codes or ()):
            return Decision("leave")
        if self._budget.exited(ended.program, ended.at_s):
            return Decision("give_up", restarts=self._budget.spent(ended.program) - 1)
        recovered = ended.ran_s is not None and ended.ran_s >= self._options.stable_s
        self._in_a_row[ended.program] = 1 if recovered else self._in_a_row[ended.program] + 1
        return Decision("restart", self._delay_s(ended.program), self._budget.spent(ended.program))

    def _delay_s(self, program: str) -> float:
        doublings = self._in_a_row[program] - 2
        if doublings < 0:
            return 0.0
        draw = self._draws.setdefault(program, random.Random(f"{self._seed}/restarts/{program}"))
        full_s = min(self._options.backoff_max_s, self._options.backoff_s * 2.0 ** min(doublings, 60))
        return full_s * (1.0 - self._options.jitter * draw.random())
