"""The whole catalogue on containers, both halves, as a night runs it: how long, and does each pair tell them apart?

`pytest scenarios/ --harness-pairs --harness-stack compose`. What needs another stack is left out, as for a user; the
pairs among it are `local_pairs`, and `discrimination` is over both.
"""

from __future__ import annotations

from tests.bench.catalogue_runs import run_halves
from tests.bench.figure import Figure, Goal, span
from tests.bench.pair_table import DISCRIMINATION, TABLE, discrimination, keep_pairs
from tests.bench.stamp import stamp

WALL = Goal("container_catalogue_h", "<=", 3, "h")
AS_DECLARED = Goal("container_catalogue_halves_as_declared", ">=", 1)
GOALS = (WALL, AS_DECLARED, DISCRIMINATION)
LONGEST_S = 5 * 3600


def figures() -> list[Figure]:
    found = run_halves(["--harness-stack", "compose"], LONGEST_S)
    halves = len(found.took_s)
    keep_pairs(TABLE, found.pairs, {"stack": "compose", **stamp()})
    return [
        WALL.figure(found.wall_s / 3600, f"{halves} runs of {len(found.scenarios)} scenarios"),
        AS_DECLARED.figure(
            found.as_declared, f"{halves - len(found.bad)} of {halves}; a run took {span(list(found.took_s.values()))}"
        ),
        discrimination(TABLE),
    ]
