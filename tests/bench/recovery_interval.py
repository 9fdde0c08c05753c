"""Does the moment at which a scripted server was really good again lie in the reported interval of recovery?

`python -m tests.bench.recovery_interval [trials] [kind,kind]` prints the trials that were missed.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.analysis.judge import judge
from harness.model.faults import ProcessPause
from harness.model.scenario import Load, Phases, Scenario, SteadyState
from harness.model.verdict import EpisodeResult
from tests.bench.figure import Figure, Goal
from tests.bench.recorded import planned, record, serving

KINDS = ("refuse", "503", "drop", "hang")
TRIALS = 100  # a percentile of 50 widths would tell more about the arrivals drawn than about the method
VALID_SHARE_MIN = 0.9
AT_ONCE = 4  # kinds side by side: together 400 requests a second, a quarter of one core
_BASELINE_S, _FAULT_S, _RECOVERY_S = 8.0, 3.2, 1.6
_LONGER_THAN_S = (2.3, 3.1)  # an outage; the deadline is 2 s
COVERAGE = {kind: Goal(f"recovery_coverage_{kind}", ">=", 0.98) for kind in KINDS}
WIDTH = {kind: Goal(f"recovery_width_ms_p95_{kind}", "<=", 60, "ms") for kind in KINDS}
GOALS = (*COVERAGE.values(), *WIDTH.values())


@dataclass(frozen=True)
class Trial:
    """One outage. Times in seconds from the fault's begin."""

    number: int
    truth_s: float
    result: EpisodeResult | None

    @property
    def interval(self) -> tuple[float, float] | None:
        found = None if self.result is None else self.result.recovery_s
        return None if found is None or found.high is None else (found.low, found.high)

    @property
    def covered(self) -> bool:
        return self.interval is not None and self.interval[0] <= self.truth_s <= self.interval[1]

    def __str__(self) -> str:
        validity = "no result" if self.result is None else self.result.invalid_reason or "valid"
        lag = None if self.result is None else self.result.dispatch_lag_ms_p99
        return f"trial {self.number}: truth {self.truth_s:.6f}, reported {self.interval}, lag p99 {lag} ms, {validity}"


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(KINDS, pool.map(lambda kind: measure(kind, TRIALS, Path(name)), KINDS), strict=True))
    result = []
    for kind, trials in found.items():
        show(kind, trials)
        # Trials that the judge itself calls invalid count as well: the stricter reading of the goal.
        valid = [trial.covered for trial in trials if trial.result is not None and trial.result.valid]
        if len(valid) < VALID_SHARE_MIN * len(trials):
            raise RuntimeError(f"only {len(valid)} of {len(trials)} trials are valid: the machine is too busy")
        hits = sum(trial.covered for trial in trials)
        shown = f"{hits} of all {len(trials)} trials; of the valid ones {sum(valid)} of {len(valid)}"
        result.append(COVERAGE[kind].figure(hits / len(trials), shown))
        widths = widths_ms(trials)
        low, high = min(widths), max(widths)
        result.append(WIDTH[kind].figure(_p95(widths), f"{low:.1f}–{high:.1f} ms, median {np.median(widths):.1f} ms"))
    return result


def measure(kind: str, trials: int, folder: Path) -> list[Trial]:
    """One continuous load with an outage every few seconds."""
    drawn = planned(_scenario(kind, trials), f"recovery-{kind}")
    draw = random.Random(f"outages-{kind}")
    begins = [w.begin_s + draw.uniform(0.0, 0.05) for w in drawn.plan.windows if w.phase == "fault"]
    outages = [(begin_s, begin_s + draw.uniform(*_LONGER_THAN_S)) for begin_s in begins]
    with serving("tests.bench.scripted_outage", kind) as server:
        recorded = record(
            drawn,
            server.port,
            folder / f"recovery-{kind}",
            lambda begin_s: server.tell([(begin_s + bad_s, begin_s + good_s) for bad_s, good_s in outages]),
        )
        happened = [server.hear() for _ in outages]
    recorded.write_events(happened)
    results = {one.number: one for one in judge(recorded.folder.read()).episodes}
    return [
        Trial(number, outage["good_s"] - outage["bad_s"], results.get(number))
        for number, outage in enumerate(happened, start=1)
    ]


def widths_ms(trials: Sequence[Trial]) -> list[float]:
    return [1000 * (trial.interval[1] - trial.interval[0]) for trial in trials if trial.interval is not None]


def show(kind: str, trials: Sequence[Trial]) -> None:
    print(f"{kind}: {sum(trial.covered for trial in trials)} of {len(trials)} trials covered", file=sys.stderr)
    for trial in trials:
        if not trial.covered:
            print(f"  missed {trial}", file=sys.stderr)


def _p95(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.95, method="inverted_cdf"))


def _scenario(kind: str, trials: int) -> Scenario:
    return Scenario(
        name=f"scripted-{kind}",
        load=Load(rate_per_s=100, deadline_s=2),
        phases=Phases(baseline_s=_BASELINE_S, recovery_s=_RECOVERY_S),
        episodes=trials,
        faults=(ProcessPause(for_s=_FAULT_S),),
        steady_state=SteadyState(hold_s=1.0),
    )


def _main(trials: int, kinds: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for kind in kinds:
            found = measure(kind, trials, Path(name))
            show(kind, found)
            widths = widths_ms(found)
            print(f"{kind}: width median {np.median(widths):.1f}, p95 {_p95(widths):.1f}, max {max(widths):.1f} ms")


if __name__ == "__main__":
    _main(
        int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS, sys.argv[2].split(",") if len(sys.argv) > 2 else list(KINDS)
    )
