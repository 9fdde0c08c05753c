"""`harness shrink RUN`: the smallest schedule that fails for the same reason, as a scenario."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from harness.campaign.shrink import CutOff, Shrunk, shrink
from harness.cli.consent import agree
from harness.cli.scenarios import STACKS, USUAL_MODEL, Where, plan_all
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.errors import CapabilityError, HarnessError, ScenarioError
from harness.model.plan import Plan
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome
from harness.plan.environment import on_the_command_line
from harness.plan.make_plan import Drawn
from harness.plan.parse import parse_scenario
from harness.plan.write import scenario_text
from harness.recover import sweep
from harness.session import Session, Watcher, judge_folder, make_clock, run_session
from harness.stack.base import Stack
from harness.store.folder import RunFolder
from harness.store.registry import Registry, registry_folder

__all__ = ["shrink_run"]

SCENARIO = "scenario.yaml"  # in a run's folder: what was run, so that its replay command is true
INTERRUPTED = "interrupted"
SILENT_IN_A_ROW = 3  # one run that cannot be done is an accident, so many are a target that has gone


@click.command("shrink", short_help="Find the smallest schedule that still fails.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--stack", "stack_name", type=click.Choice(STACKS), default=None, help="Default: that of the run.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=USUAL_MODEL, envvar="HARNESS_MODEL", show_default=True
)
@click.option("--url", default=None, metavar="URL", help="Of a target of your own.  [default: that of the run]")
@click.option("--yes", is_flag=True, envvar="HARNESS_YES", help="Agree to what the runs may touch, unasked.")
@click.option("--trials", type=click.IntRange(min=1), default=2, show_default=True, help="All must fail.")
@click.option("--runs", type=click.IntRange(min=1), default=60, show_default=True, help="No more runs than these.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
def shrink_run(  # noqa: PLR0913, PLR0917  one parameter per option
    folder: Path,
    stack_name: str | None,
    model: Path,
    url: str | None,
    yes: bool,
    trials: int,
    runs: int,
    out: Path,
) -> int:
    """Run a failed run again with fewer, sooner, shorter and weaker faults, as long as it fails for the same reason.

    Writes the smallest one that still does as a scenario, with what was left out, beside the runs; whatever ends the
    search, the smallest so far. What the runs do to a target of your own, and the commands of `exec` faults, is asked
    about first.
    """
    if runs < trials:
        raise click.UsageError(
            f"--runs {runs} is too few for --trials {trials}: it takes {trials} runs to know whether the run's own "
            "scenario still fails; allow more runs, or ask for fewer trials"
        )
    before = judge_folder(RunFolder(folder))
    if before.outcome is not VerdictOutcome.FAIL:
        raise HarnessError(f"{folder}: its verdict is {before.outcome}: only a run that failed can be shrunk")
    plan = RunFolder(folder).read_plan()
    where = _where_of(plan, stack_name, url, model)
    registry = Registry(registry_folder(os.environ))
    drawn, stack = _planned_again(folder, plan, where)
    agree([(drawn.plan, stack)], registry.folder.parent / "agreed.json", yes=yes)
    sweep(registry)
    whole = drawn.plan.scenario
    with Interrupts() as interrupts:
        trial = _Trials(before, plan, (where, out, registry), (trials, runs), interrupts)
        try:
            _reproduce(folder, whole, trial)
        except CutOff as why:
            click.echo(f"harness: {why} before it was known whether it still fails, so nothing was written", err=True)
            return 3
        found = shrink(whole, trial.fails)
    _conclude(found, trial, plan, (where, out, drawn.plan.environment))
    return 3 if interrupts.asked() else 0


def _where_of(plan: Plan, stack_name: str | None, url: str | None, model: Path) -> Where:
    """Where the run was, unless the command line names another place."""
    name = stack_name or ("external" if url else plan.stack)
    if name == "external" and url is None and plan.stack == "external":
        url = plan.target.get("target")  # also when it was named on the command line only
    return Where(name, model, url)


def _planned_again(folder: Path, plan: Plan, where: Where) -> tuple[Drawn, Stack]:
    """The run's own scenario in the form in which candidates are run, planned for today. Raises HarnessError."""
    try:
        scenario = parse_scenario(scenario_text(plan.scenario), plan.scenario.name)
        return plan_all([scenario], where, plan.seed, make_clock(where.of(scenario)))[0]
    except (ScenarioError, CapabilityError) as error:
        raise HarnessError(f"{folder}: its scenario cannot be planned again: {error}") from error


def _reproduce(folder: Path, whole: Scenario, trial: _Trials) -> None:
    """Nothing can be shrunk that does not fail by itself. Raises HarnessError with what is true instead, CutOff."""
    fails = trial.fails(whole)
    if fails is None:
        raise HarnessError(f"{folder}: whether its scenario still fails is not known, since it {trial.said}")
    if not fails:
        n = trial.per_candidate
        raise HarnessError(f"{folder}: its scenario does not fail {n} times in {n} when it is run again: {trial.said}")


class _Trials:
    """Runs candidates, and counts."""

    def __init__(
        self,
        before: Verdict,
        plan: Plan,
        places: tuple[Where, Path, Registry],
        limits: tuple[int, int],
        interrupts: Interrupts,
    ) -> None:
        self._reasons = _reasons(before)
        self._seed = plan.seed
        self._name = f"{plan.scenario.name}{f'-{plan.scenario.half}' if plan.scenario.half else ''}-shrink"
        self._where, self._out, self._registry = places
        self.per_candidate, self._runs = limits
        self._interrupts = interrupts
        self.done = 0
        self.silent = 0  # runs that could not be done
        self._in_a_row = 0  # of these, the latest
        self.said = ""  # why the last candidate was not found to fail

    def fails(self, scenario: Scenario) -> bool | None:
        """Whether all trials fail for one of the run's reasons; None: it cannot be planned or run.

        Raises CutOff when no more is run.
        """
        for trial in range(self.per_candidate):
            verdict = self._verdict(scenario, self._seed if trial == 0 else f"{self._seed}-{trial}")
            if verdict is None:
                return None
            if verdict.outcome is not VerdictOutcome.FAIL or not self._reasons & _reasons(verdict):
                other = " for another reason" if verdict.outcome is VerdictOutcome.FAIL else ""
                self.said = f"run {trial + 1} was {verdict.outcome}{other}: {verdict.reason}"
                return False
        return True

    def _verdict(self, scenario: Scenario, seed: str) -> Verdict | None:
        self._go_on()
        if self.done >= self._runs:
            raise CutOff(f"{self._runs} runs were allowed")
        try:
            drawn, session, run = self._prepared(scenario, seed)
            run.create()
            run.write(SCENARIO, scenario_text(scenario))
            watcher = Watcher(lambda _: None, lambda *_: None, lambda _: None, self._interrupts.asked)
            verdict = judge_folder(run_session(drawn, session, run.path.name, watcher))
        except ScenarioError as error:  # out of bounds, or faults that would clash: no candidate, and no run
            self.said = f"cannot be planned: {error}"
            return None
        except HarnessError as error:  # one port that is taken must not end a search of hours
            self.said = f"could not be run: {error}"
            self.silent += 1
            self._in_a_row += 1
            self._count("SAYS NOTHING", scenario, "; ".join(str(error).splitlines()))
            self._go_on()
            if self._in_a_row >= SILENT_IN_A_ROW:
                raise CutOff(
                    f"the last {self._in_a_row} runs could not be done ({'; '.join(str(error).splitlines())})"
                ) from error
            return None
        self._in_a_row = 0
        self._count(verdict.outcome.upper(), scenario, verdict.reason)
        self._go_on()  # a run that was cut short says nothing
        return verdict

    def _prepared(self, scenario: Scenario, seed: str) -> tuple[Drawn, Session, RunFolder]:
        """Raises HarnessError. Its plan names the file that will lie in its folder."""
        clock = make_clock(self._where.of(scenario))
        run = RunFolder(self._out / run_id_of(self._name, clock.wall()))
        candidate = parse_scenario(scenario_text(scenario), str(run.path / SCENARIO))
        drawn, stack = plan_all([candidate], self._where, seed, clock)[0]
        return drawn, Session(stack, clock, self._out, self._registry, os.environ), run

    def _count(self, outcome: str, scenario: Scenario, reason: str) -> None:
        self.done += 1
        faults = ", ".join(f"{fault.kind} on {fault.on}" for fault in scenario.faults)
        click.echo(f"{self.done:3}  {outcome:13} {faults}: {reason}")

    def _go_on(self) -> None:
        if self._interrupts.asked():
            raise CutOff(INTERRUPTED)


def _reasons(verdict: Verdict) -> set[str]:
    return {one.check for one in verdict.findings if one.outcome is VerdictOutcome.FAIL}


def _conclude(found: Shrunk, trial: _Trials, plan: Plan, place: tuple[Where, Path, Mapping[str, str]]) -> None:
    """Write the smallest so far and say how it was found. Raises what ended the search, if that is a defect."""
    where, out, environment = place
    cut = f"; cut off before it was as small as could be: {_words(found.ended_by)}" if found.ended_by else ""
    if trial.silent:
        cut += f"; {trial.silent} of the runs said nothing, so a smaller one may have been missed"
    half = f"-{plan.scenario.half}" if plan.scenario.half else ""
    whole = dataclasses.replace(found.scenario, name=f"{found.scenario.name}{half}-smallest")
    head = f"The smallest schedule that still fails, of {trial.done} runs from seed {plan.seed}{cut}:"
    path = _written(out, whole, [head, *(f"- {step}" for step in found.steps)])
    for step in found.steps:
        click.echo(f"smaller   {step}")
    click.echo(f"{trial.done} runs, {len(found.steps)} steps{cut}")
    click.echo(f"{'scenario':10}{path}")
    stack = where.of(whole)
    words = shlex.join(["harness", "run", str(path), "--stack", stack, "--seed", plan.seed])
    click.echo(f"{'replay':10}{on_the_command_line(environment)}{words}{where.replay(stack)}")
    if found.ended_by is not None and not isinstance(found.ended_by, CutOff):
        raise found.ended_by


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CutOff) else f"{type(error).__name__}: {text}"


def _written(out: Path, scenario: Scenario, comments: list[str]) -> Path:
    """Beside what earlier searches found, which may be of another run of the same name."""
    text = scenario_text(scenario, comments)
    out.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = out / f"{scenario.name}{f'-{number}' if number > 1 else ''}.yaml"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            if path.is_file() and path.read_bytes() == text.encode():
                return path
            click.echo(f"kept      {path}, which was there already and holds something else")
        else:
            return path
    raise AssertionError("numbers do not end")
