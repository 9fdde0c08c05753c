"""Is the reported success rate what users had? A target hangs for 30 s of 110; a closed loop would call that 100 %."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.analysis.judge import judge
from harness.model.faults import ProcessPause
from harness.model.scenario import Load, Phases, Scenario
from tests.bench.figure import Figure, Goal
from tests.bench.recorded import planned, record, serving

_HANG_FROM_S, _HANG_S, _AFTER_S = 40.0, 30.0, 40.0
_DEADLINE_S = 2.0
GOALS = (Goal("outage_honesty_error_points", "<=", 0.5, "points"),)


def figures() -> list[Figure]:
    scenario = Scenario(
        name="scripted-hang",
        load=Load(rate_per_s=10, deadline_s=_DEADLINE_S),
        phases=Phases(baseline_s=_HANG_FROM_S, recovery_s=_AFTER_S),
        faults=(ProcessPause(for_s=_HANG_S),),
    )
    drawn = planned(scenario, "outage-honesty")
    with tempfile.TemporaryDirectory() as name, serving("tests.bench.scripted_outage", "hang") as server:
        recorded = record(
            drawn,
            server.port,
            Path(name) / "run",
            lambda begin_s: server.tell([(begin_s + _HANG_FROM_S, begin_s + _HANG_FROM_S + _HANG_S)]),
        )
        hang = server.hear()
        recorded.write_events([hang])
        verdict = judge(recorded.folder.read())
    bounds = (hang["bad_s"] - recorded.begin_s, hang["good_s"] - recorded.begin_s)
    truth = true_success_rate([us / 1e6 for us in drawn.user.scheduled_us], bounds)
    reported = float(verdict.sli["success_rate"])
    print(f"outage_honesty: reported {reported:.4%}, true {truth:.4%}; {verdict.sli['outcomes']}", file=sys.stderr)
    return [GOALS[0].figure(100 * abs(reported - truth), f"reported {reported:.2%}, true {truth:.2%}")]


def true_success_rate(scheduled_s: Sequence[float], hang: tuple[float, float]) -> float:
    """Lost is who was due inside the hang and whose deadline ends before it does; nobody else."""
    lost = sum(hang[0] <= at_s < hang[1] and hang[1] > at_s + _DEADLINE_S for at_s in scheduled_s)
    return 1 - lost / len(scheduled_s)
