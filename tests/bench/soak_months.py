"""How long do ten thousand projected months take? The shipped file's, from sixty trials of each type."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from harness.soak.months import MONTHS, evaluate, project_months
from harness.soak.parse import parse_soak
from harness.soak.sample import Sample, TypeSample
from tests.bench.figure import Figure, Goal, span

GOALS = (Goal("soak_ten_thousand_months", "<=", 1, "s"),)
FILE = Path(__file__).parents[2] / "scenarios" / "soak" / "thirty-days.yaml"
_REPEATS, _N = 5, 60


def figures() -> list[Figure]:
    soak = parse_soak(FILE.read_text(), str(FILE))
    rng = np.random.default_rng(0)
    types = tuple(
        TypeSample(one, (None,) * _N, *(rng.lognormal(0, 0.5, _N) for _ in range(4)), _N, 0, 0)  # type: ignore[arg-type]
        for one in soak.faults
    )
    sample = Sample((), (), types, 3000, 0, 300.0, rng.normal(0.02, 0.001, 5), ())
    taken = []
    for seed in range(_REPEATS):
        begin_s = time.perf_counter()
        evaluate(project_months(soak, sample, seed, MONTHS))
        taken.append(time.perf_counter() - begin_s)
    return [GOALS[0].figure(sorted(taken)[_REPEATS // 2], span(taken))]
