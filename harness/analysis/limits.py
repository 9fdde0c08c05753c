"""What the data of a run cannot show, in sentences for the report's first screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.frame import RunFrame
from harness.analysis.intervals import rate
from harness.analysis.sli import eligible_of
from harness.model.history import History
from harness.model.verdict import EpisodeResult, PhaseResult

__all__ = ["what_it_cannot_show"]

STAGES = ("detect_s", "isolate_s", "restore_s", "verify_s")


def what_it_cannot_show(
    history: History, frame: RunFrame, episodes: Sequence[EpisodeResult], phases: Sequence[PhaseResult]
) -> tuple[str, ...]:
    """Sentences, the most important first."""
    found: list[str] = []
    if history.plan.scenario.faults:
        found += _of_episodes(history, episodes)
    baseline = next((phase for phase in phases if phase.phase == "baseline"), None)
    n_baseline = 0 if baseline is None else eligible_of(baseline)
    if baseline is not None and n_baseline:
        bound = rate(baseline.outcomes["ok"], n_baseline, one_sided=True).low
        n = f"{n_baseline:,}"
        found.append(
            f"The {n} fault-free baseline requests show a success rate of at least {bound:.2%} (95 %), not more."
        )
    eligible = int(frame.users["eligible"].sum())
    checked = int((frame.users["checked"] & frame.users["eligible"]).sum())
    if eligible and checked < eligible:
        found.append(
            f"Answers were compared with golden ones in {checked:,} of {eligible:,} requests; "
            "the others were not answered or have no known answer."
        )
    return tuple(found)


def _of_episodes(history: History, episodes: Sequence[EpisodeResult]) -> Iterator[str]:
    n = sum(one.valid for one in episodes)
    yield (
        f"{n} valid episode{'' if n == 1 else 's'} on one host: "
        "how often this fault happens in your production is not in this data."
    )
    if n < 5:
        yield "No recovery percentile: the median needs 5 episodes, p95 needs 59."
    unseen = [stage.removesuffix("_s") for stage in STAGES if all(getattr(e.stages, stage) is None for e in episodes)]
    if unseen and episodes:
        yield f"Not seen in any episode, so not inferred: {', '.join(unseen)}."
    gap_ms = 1000 / history.plan.scenario.load.rate_per_s
    yield f"Recovery is known between two requests only; their mean gap is {gap_ms:,.0f} ms."
