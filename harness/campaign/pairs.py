"""Run the two halves of many scenarios and say whether each tells a fragile target from a hardened one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from harness.analysis.multiplicity import catalogue_claims
from harness.model.errors import HarnessError, ScenarioError, unexpected
from harness.model.expectation import HALVES, Half, expectation
from harness.model.pairs import HalfResult, PairResult, PairsReport, half_result, not_run
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict
from harness.plan.halves import has_pair, in_order_of_targets, of_half, without_pairs
from harness.plan.make_plan import Drawn
from harness.record.clock import Clock

__all__ = ["Halves", "RunHalf", "run_pairs"]

RunHalf = Callable[[Drawn], tuple[Verdict, Path]]  # a verdict and the folder of its run
Found = Mapping[tuple[str, Half], HalfResult]  # by file


@dataclass(frozen=True)
class Halves:
    """Every half, planned before the first is run: what is wrong with any of them is said at once."""

    stack: str
    seed: str
    scenarios: Sequence[Scenario]
    drawn: Sequence[tuple[Scenario, Half, Drawn]]

    @staticmethod
    def of(
        scenarios: Sequence[Scenario], plan: Callable[[Sequence[Scenario]], list[Drawn]], stack: str, seed: str
    ) -> Halves:
        """Raises ScenarioError with all that is wrong. Scenarios without a pair are left out, but not if all are.

        Halves on equal targets follow one another.
        """
        paired = [one for one in scenarios if has_pair(one)]
        if not paired:
            raise ScenarioError(without_pairs(list(scenarios)))
        order = [(one, half) for half in HALVES for one in paired]
        halves = [of_half(one, half) for one, half in order]
        drawn = plan(halves)
        every = [(one, half, plan_) for (one, half), plan_ in zip(order, drawn, strict=True)]
        return Halves(stack, seed, scenarios, [every[place] for place in in_order_of_targets(halves)])


def run_pairs(
    halves: Halves,
    run_half: RunHalf,
    clock: Clock,
    interrupted: Callable[[], int],
    keep: Callable[[PairsReport], None],
) -> PairsReport:
    """Run them all; whatever one of them raises does not stop the others.

    `keep` is given the table before the first run and after each: whoever kills this process has that one.
    """
    begin_s = clock.now()
    found: dict[tuple[str, Half], HalfResult] = {}
    for scenario, half, drawn in halves.drawn:
        keep(_report(halves, found, clock.now() - begin_s, "it had not been run when this table was written"))
        if interrupted():
            break
        found[scenario.file, half] = _one(scenario, half, drawn, (run_half, clock))
    report = _report(halves, found, clock.now() - begin_s, "it was not run, since the session was ended")
    keep(report)
    return report


def _report(halves: Halves, found: Found, seconds: float, never: str) -> PairsReport:
    """The table with what is known so far; `never`: why there is nothing of the others."""
    pairs = [
        PairResult(
            one.name,
            one.file,
            PurePath(one.file).parent.name,
            one.hypothesis,
            found.get((one.file, "fragile")) or not_run("fragile", never),
            found.get((one.file, "hardened")) or not_run("hardened", never),
        )
        for one in halves.scenarios
        if has_pair(one)
    ]
    return PairsReport(
        halves.stack,
        halves.seed,
        tuple(pairs),
        seconds,
        catalogue_claims([(pair.scenario, pair.hardened.findings) for pair in pairs]),
        runs=len(found),
        cut_off=len(found) < len(halves.drawn),
        without=tuple(one.file for one in halves.scenarios if not has_pair(one)),
    )


def _one(scenario: Scenario, half: Half, drawn: Drawn, how: tuple[RunHalf, Clock]) -> HalfResult:
    run_half, clock = how
    begin_s = clock.now()
    known = expectation(scenario.expect, half)
    assert known is not None
    try:
        verdict, folder = run_half(drawn)
        return half_result(half, known, verdict, seconds=clock.now() - begin_s, report=str(folder / "report.html"))
    except HarnessError as error:
        return not_run(half, str(error), clock.now() - begin_s)
    except BrokenPipeError:
        raise  # nobody reads the output any more, which ends a command as Ctrl-C does
    except Exception as error:  # noqa: BLE001  whatever it is, it must not take a night of runs with it
        return not_run(half, unexpected(error), clock.now() - begin_s)
