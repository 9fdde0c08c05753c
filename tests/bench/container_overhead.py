"""How long until a container stack is ready, and what does a run on it take beside its scripted phases?"""

from __future__ import annotations

import statistics
import sys

from tests.bench.container_run import ROOT, container_run
from tests.bench.figure import Figure, Goal, span

REPEATS = 3
READY = Goal("container_up_to_ready_s", "<=", 15, "s")
OVERHEAD = Goal("container_overhead_s", "<=", 30, "s")
GOALS = (READY, OVERHEAD)


def figures(repeats: int = REPEATS) -> list[Figure]:
    scenario = (ROOT / "scenarios" / "death-and-supervision" / "kill-primary.yaml").read_text()
    ready_s, overhead_s = [], []
    for _ in range(repeats):
        run = container_run(scenario)
        ready_s.append(run.at_s("target_ready") - run.at_s("run_begin"))
        overhead_s.append(run.wall_s - run.history.plan.duration_s)
        up_s = run.at_s("stack_up") - run.at_s("run_begin")
        print(
            f"container run: up {up_s:.1f} s, ready {ready_s[-1]:.1f} s, beside {overhead_s[-1]:.1f}", file=sys.stderr
        )
    return [
        READY.figure(statistics.median(ready_s), span(ready_s)),
        OVERHEAD.figure(statistics.median(overhead_s), span(overhead_s)),
    ]
