"""`harness shrink RUN`: the smallest schedule that fails for the same reason, as a scenario."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import click

from harness.campaign.shrink import Shrunk, shrink
from harness.cli.one_run import make_session
from harness.cli.scenarios import STACKS, make_plans, make_stack
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError, ScenarioError
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome
from harness.plan.parse import parse_scenario
from harness.plan.write import scenario_text
from harness.recover import sweep
from harness.session import Watcher, judge_folder, make_clock, run_session
from harness.store.folder import RunFolder
from harness.store.registry import Registry, registry_folder

__all__ = ["shrink_run"]


@click.command("shrink", short_help="Find the smallest schedule that still fails.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--stack", "stack_name", type=click.Choice(STACKS), default=None, help="Default: that of the run.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=Path(".model"), envvar="HARNESS_MODEL", show_default=True
)
@click.option("--trials", type=click.IntRange(min=1), default=2, show_default=True, help="All must fail.")
@click.option("--runs", type=click.IntRange(min=1), default=60, show_default=True, help="No more runs than these.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
def shrink_run(folder: Path, stack_name: str | None, model: Path, trials: int, runs: int, out: Path) -> int:  # noqa: PLR0913, PLR0917  one parameter per option
    """Run a failed run's scenario again with fewer, shorter and weaker faults, as long as it fails for the same reason.

    Writes the smallest one that still does as a scenario, with what was left out, beside the runs.
    """
    before = judge_folder(RunFolder(folder))
    if before.outcome is not VerdictOutcome.FAIL:
        raise HarnessError(f"{folder}: its verdict is {before.outcome}: only a run that failed can be shrunk")
    plan = RunFolder(folder).read_plan()
    trial = _Trials(_reasons(before), (stack_name or plan.stack, model), out, (trials, runs))
    with Interrupts() as interrupts:
        trial.interrupts = interrupts
        if not trial.fails(plan.scenario, plan.seed):
            raise HarnessError(f"{folder}: its scenario does not fail {trials} times in {trials} when it is run again")
        found = shrink(plan.scenario, lambda candidate: trial.fails(candidate, plan.seed))
    path = _written(found, out, trial.done)
    for step in found.steps:
        click.echo(f"smaller   {step}")
    cut = "; cut off before it was as small as could be" if trial.cut_off else ""
    click.echo(f"{trial.done} runs, {len(found.steps)} steps{cut}")
    click.echo(f"{'scenario':10}{path}")
    return 0


class _Trials:
    """Runs candidates, and counts."""

    def __init__(self, reasons: set[str], where: tuple[str, Path], out: Path, limits: tuple[int, int]) -> None:
        self._reasons = reasons
        self._where = where
        self._out = out
        self._trials, self._runs = limits
        self.done = 0
        self.cut_off = False
        self.interrupts: Interrupts | None = None
        self._registry = Registry(registry_folder(os.environ))
        sweep(self._registry)

    def fails(self, scenario: Scenario, seed: str) -> bool | None:
        """Whether all trials fail for one of the run's reasons; None: it cannot be planned, or nothing more is run."""
        for trial in range(self._trials):
            if self.done >= self._runs or (self.interrupts is not None and self.interrupts.asked()):
                self.cut_off = True
                return None
            verdict = self._verdict(scenario, seed if trial == 0 else f"{seed}-{trial}")
            if verdict is None:
                return None
            if verdict.outcome is not VerdictOutcome.FAIL or not self._reasons & _reasons(verdict):
                return False
        return True

    def _verdict(self, scenario: Scenario, seed: str) -> Verdict | None:
        try:
            parse_scenario(scenario_text(scenario), scenario.name)  # bounds, and faults that would clash
            stack = make_stack(self._where[0], self._where[1], make_clock(self._where[0]))
            (drawn,) = make_plans([scenario], stack, seed)
        except ScenarioError:
            return None
        self.done += 1
        session = make_session(self._where, self._out, self._registry)
        asked = self.interrupts.asked if self.interrupts is not None else lambda: 0
        watcher = Watcher(lambda _: None, lambda *_: None, lambda _: None, asked)
        run_id = run_id_of(f"{scenario.name}-shrink", session.clock.wall())
        verdict = judge_folder(run_session(drawn, session, run_id, watcher))
        faults = ", ".join(f"{fault.kind} on {fault.on}" for fault in scenario.faults)
        click.echo(f"{self.done:3}  {verdict.outcome.upper():13} {faults}: {verdict.reason}")
        return verdict


def _reasons(verdict: Verdict) -> set[str]:
    return {one.check for one in verdict.findings if one.outcome is VerdictOutcome.FAIL}


def _written(found: Shrunk, out: Path, runs: int) -> Path:
    whole = dataclasses.replace(found.scenario, name=f"{found.scenario.name}-smallest")
    comments = [f"The smallest schedule that still fails, of {runs} runs:", *(f"- {step}" for step in found.steps)]
    path = out / f"{whole.name}.yaml"
    path.write_text(scenario_text(whole, comments), encoding="utf-8")
    return path
