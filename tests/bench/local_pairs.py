"""The control pairs that containers cannot run, on local processes: those of supervisors."""

from __future__ import annotations

from tests.bench.catalogue_runs import run_halves
from tests.bench.figure import Figure, Goal, span
from tests.bench.pair_table import DISCRIMINATION, TABLE, discrimination, keep_pairs, not_for_containers
from tests.bench.stamp import stamp
from tests.bench.whole_run import ROOT

TOLD_APART = Goal("local_pairs_told_apart", ">=", 1)
GOALS = (TOLD_APART, DISCRIMINATION)
LONGEST_S = 3600


def figures() -> list[Figure]:
    paths = [str(path.relative_to(ROOT)) for path in not_for_containers()]
    found = run_halves(["--harness-stack", "local"], LONGEST_S, paths)
    keep_pairs(TABLE, found.pairs, {"stack": "local", **stamp()})
    apart = sum(found.pairs.values())
    took = f"{apart} of {len(paths)}; a run took {span(list(found.took_s.values()))} s"
    return [TOLD_APART.figure(apart / len(paths), took), discrimination(TABLE)]
