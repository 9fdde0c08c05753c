"""Does a scenario with one seed get the same verdict each time? One that passes and one that fails, ten runs each."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.bench.figure import Figure, Goal
from tests.bench.whole_run import ROOT, Ran, run_once, runs, short

RUNS = 10
SEED = "7"
SCENARIOS = ("half-alive/dead-engine", "half-alive/half-alive")  # as written, the one passes and the other fails
GOALS = (Goal("same_seed_other_verdicts", "<=", 0, "runs"), Goal("same_seed_inconclusive", "<=", 1, "runs"))


def figures() -> list[Figure]:
    found = {name: [run_once(scenario(name), SEED) for _ in range(runs(RUNS))] for name in SCENARIOS}
    for name, ran in found.items():
        print(f"same_seed: {name}: {dict(Counter(one.outcome for one in ran))}", file=sys.stderr)
    others = max(other_verdicts(ran) for ran in found.values())
    unsure = max(sum(one.outcome == "inconclusive" for one in ran) for ran in found.values())
    spread = f"worst of {len(SCENARIOS)} scenarios, {runs(RUNS)} runs each{short(RUNS)}"
    return [GOALS[0].figure(others, spread), GOALS[1].figure(unsure, spread)]


def scenario(name: str) -> Path:
    return ROOT / "scenarios" / f"{name}.yaml"


def other_verdicts(ran: list[Ran]) -> int:
    """Of those that could tell, how many said something else than most."""
    told = Counter(one.outcome for one in ran if one.outcome != "inconclusive")
    return sum(told.values()) - max(told.values(), default=0)
