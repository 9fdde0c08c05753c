"""Where everything lies in the two flat arrays that the kernel works on: `n` whole numbers, `x` others.

First single numbers, each at an address with a name: rules, counters and sums. Then tables, one after another; where
each begins is a number of `n`. Compiled functions hand two arrays on for nothing; with an array per table each call
counts references to all of them, and the kernel took many times as long. Times are in s; no limit is infinite, except
QUEUE_LIMIT: -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.soak.simulator import kernel

__all__ = ["OTHER", "WHOLE", "Arrays", "lay_out", "tables"]

# Tables of `n`.
WHOLE = (
    "down_first",  # by replica: its first outage; replica r has those up to down_first[r + 1], in order, apart
    "down_kind",  # by outage
    "away_first",  # as down_first: the times when the gateway believes it to be down
    "next_down",  # by replica: the first outage that is not over
    "next_away",
    "waiting",  # by replica: how many wait
    "heap",  # ids of what is pending, a heap by time
    "ids",  # free ids
    "order",  # by id, as the next four
    "index",
    "tries",
    "replica",
    "end",
    "window_arrivals",  # by window
    "window_ok",
    "window_backlog",
    "histogram",  # by bucket
    "ended",  # by request
)
# Tables of `x`.
OTHER = (
    "free_s",  # by replica a heap: when each server is free
    "leave_s",  # by replica a heap: when those who wait leave the queue
    "busy_s",  # by replica: time of servers spent
    "down_begin_s",  # by outage
    "down_end_s",
    "away_begin_s",
    "away_end_s",
    "when_s",  # by id, as the next two
    "first_s",
    "service_s",
    "latency_s",  # by request
)
Arrays: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def lay_out(single: Arrays, found: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """The single numbers of `n` and `x`, each followed by its tables, whose begins are entered."""
    n, x = single
    n = n.copy()
    for head, names in ((len(n), WHOLE), (len(x), OTHER)):
        place = head
        for name in names:
            n[address(name)] = place
            place += len(found[name])
    whole = np.concatenate([n, *(found[name] for name in WHOLE)])
    other = np.concatenate([x, *(found[name] for name in OTHER)])
    assert whole.dtype == np.int64 and other.dtype == np.float64
    return whole, other


def tables(n: npt.NDArray[np.int64], x: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """Each table, as a view."""
    found: dict[str, npt.NDArray[Any]] = {}
    for memory, names in ((n, WHOLE), (x, OTHER)):
        begins = [int(n[address(name)]) for name in names]
        ends = [*begins[1:], len(memory)]
        found |= {name: memory[begin:end] for name, begin, end in zip(names, begins, ends, strict=True)}
    return found


def address(name: str) -> int:
    """Where in `n` the begin of a table is said."""
    where: int = vars(kernel)[f"AT_{name.upper()}"]
    return where
