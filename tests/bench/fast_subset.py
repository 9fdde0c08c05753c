"""The fast scenarios, both halves, as a pull request runs them: how long they take, and how much of it is experiment.

`pytest scenarios/ -m fast --harness-pairs` on the local stack, as a user starts it. A scenario's wall time is that of
its test, the start of its stack included; what its plan calls baseline, fault and recovery is the experiment.
"""

from __future__ import annotations

from tests.bench.catalogue_runs import run_halves
from tests.bench.figure import Figure, Goal, span

WALL = Goal("fast_subset_s", "<=", 480, "s")
SCENARIOS = Goal("fast_subset_scenarios", ">=", 15)
AS_DECLARED = Goal("fast_subset_halves_as_declared", ">=", 1)
BESIDE = Goal("wall_beside_experiment", "<=", 0.25)
GOALS = (WALL, SCENARIOS, AS_DECLARED, BESIDE)
LONGEST_S = 1800


def figures() -> list[Figure]:
    found = run_halves(["-m", "fast"], LONGEST_S)
    took_s, halves = list(found.took_s.values()), len(found.took_s)
    return [
        WALL.figure(found.wall_s, f"{halves} runs, {found.on_kept} of them on a stack that had served another"),
        SCENARIOS.figure(len(found.scenarios)),
        AS_DECLARED.figure(found.as_declared, f"{halves - len(found.bad)} of {halves}"),
        BESIDE.figure(1 - found.planned_s / sum(took_s), f"a run took {span(took_s)}"),
    ]
