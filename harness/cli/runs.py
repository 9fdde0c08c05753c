"""The pipeline's verbs: check, plan, run, judge, report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.consent import agree
from harness.cli.scenarios import STACKS, Where, load_scenarios, new_seed, plan_all, stack_for
from harness.cli.terminal import Terminal, plan_lines, verdict_lines, verdict_table
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome, worst
from harness.plan.make_plan import Drawn
from harness.plan.parse import json_schema
from harness.session import Session, Watcher, judge_folder, make_clock, run_session
from harness.stack.base import Stack
from harness.store.folder import RunFolder
from harness.store.registry import Registry, registry_folder

__all__ = ["check", "judge", "plan", "report", "run"]

EXIT = {VerdictOutcome.PASS: 0, VerdictOutcome.FAIL: 1, VerdictOutcome.INCONCLUSIVE: 3}
SCENARIOS = click.argument("scenarios", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SCENARIO…")
STACK = click.option(
    "--stack",
    "stack_name",
    type=click.Choice(STACKS),
    default=None,
    help="Where the target runs.  [default: external for a scenario that names external.url, otherwise local]",
)
URL = click.option("--url", default=None, metavar="URL", help="Of a target of your own, for --stack external.")
SEED = click.option("--seed", default=None, help="Replays a plan; drawn and printed by default.")
MODEL = click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path(".model"),
    envvar="HARNESS_MODEL",
    show_default=True,
    help="The model's folder.",
)
RUN = click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")


@click.command(short_help="Show everything that is wrong with scenario files.")
@click.argument("scenarios", nargs=-1, type=click.Path(path_type=Path), metavar="SCENARIO…")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a scenario file instead.")
def check(scenarios: tuple[Path, ...], schema: bool) -> int:
    """Read scenario files and show everything that is wrong with them; nothing is touched."""
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return 0
    if not scenarios:
        raise click.UsageError("name at least one scenario file or folder, or use --schema")
    for scenario in load_scenarios(scenarios):
        click.echo(f"{scenario.file}: ok  {scenario.hypothesis}")
    return 0


@click.command(short_help="Show what a run would do and could show.")
@SCENARIOS
@STACK
@SEED
@MODEL
@URL
def plan(scenarios: tuple[Path, ...], stack_name: str | None, seed: str | None, model: Path, url: str | None) -> int:
    """Show what a run would do and what it could show, before anything is touched."""
    for drawn, _ in _plans(scenarios, Where(stack_name, model, url), seed):
        for line in plan_lines(drawn.plan):
            click.echo(line)
    return 0


@click.command(short_help="Break the target under load, measure, judge, report.")
@SCENARIOS
@STACK
@SEED
@MODEL
@URL
@click.option(
    "--yes",
    is_flag=True,
    envvar="HARNESS_YES",
    help="Agree to what a run on a target of your own may touch, without being asked.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Run folders are made in here.",
)
@click.option(
    "--as-expected", is_flag=True, help="Exit 0 when every verdict is the one that its file names under 'expect'."
)
def run(  # noqa: PLR0913, PLR0917  one parameter per option
    scenarios: tuple[Path, ...],
    stack_name: str | None,
    seed: str | None,
    model: Path,
    url: str | None,
    yes: bool,
    out: Path,
    as_expected: bool,
) -> int:
    """Run scenarios one after another: break the target under load, measure, judge, report.

    Ctrl-C heals the target, stops everything and judges what was recorded. If the harness itself dies, its guard does
    the same; 'harness undo' is there for what no process could do.
    """
    registry = Registry(registry_folder(os.environ))
    verdicts: list[tuple[Verdict, Path]] = []
    where = Where(stack_name, model, url)
    prepared = _plans(scenarios, where, seed)
    agree([(drawn.plan, stack) for drawn, stack in prepared], registry.folder.parent / "agreed.json", yes=yes)
    planned = [drawn for drawn, _ in prepared]
    with Interrupts() as interrupts:
        for number, drawn in enumerate(planned, start=1):
            if interrupts.asked():
                break
            terminal = Terminal(drawn.plan, (number, len(planned)))
            session = _session(where, drawn.plan.scenario, out, registry)
            folder, verdict = _run_one(drawn, session, (terminal, interrupts))
            verdicts.append((verdict, folder.path))
            for line in verdict_lines(verdict, folder.path):
                click.echo(line)
    if len(planned) > 1:
        click.echo()
        for line in verdict_table(verdicts, [drawn.plan.scenario.expect for drawn in planned]):
            click.echo(line)
    if as_expected:
        met = [
            verdict.outcome == drawn.plan.scenario.expect
            for (verdict, _), drawn in zip(verdicts, planned, strict=False)
        ]
        return 0 if all(met) and len(met) == len(planned) else EXIT[worst(v.outcome for v, _ in verdicts)] or 1
    return _exit_code([verdict for verdict, _ in verdicts], len(planned))


@click.command(short_help="Judge a recorded run again, by today's rules.")
@RUN
def judge(folder: Path) -> int:
    """Judge a recorded run again, by today's rules, and write its reports anew."""
    verdict = judge_folder(RunFolder(folder))
    for line in verdict_lines(verdict, folder):
        click.echo(line)
    return EXIT[verdict.outcome]


@click.command(short_help="Print a report of a judged run.")
@RUN
@click.option(
    "--format",
    "name",
    type=click.Choice(["html", "md", "junit", "json"]),
    default="md",
    show_default=True,
    help="What to print.",
)
def report(folder: Path, name: str) -> int:
    """Print a report of a run that has been judged, rendered anew from its verdict.json."""
    from harness.render import RENDERERS, from_json  # here, since rendering takes half a second to import

    path = folder / "verdict.json"
    try:
        verdict = from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HarnessError(f"{path} is missing: judge the run first with 'harness judge {folder}'") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} is damaged: write it anew with 'harness judge {folder}'") from error
    files = {"html": "report.html", "md": "report.md", "junit": "junit.xml", "json": "verdict.json"}
    click.echo(RENDERERS[files[name]](verdict))
    return 0


def _plans(paths: Sequence[Path], where: Where, seed: str | None) -> list[tuple[Drawn, Stack]]:
    return plan_all(load_scenarios(paths), where, seed or new_seed(), make_clock(where.stack or "local"))


def _session(where: Where, scenario: Scenario, out: Path, registry: Registry) -> Session:
    clock = make_clock(where.of(scenario))
    return Session(stack_for(where, scenario, clock), clock, out, registry, os.environ)


def _run_one(drawn: Drawn, session: Session, watch: tuple[Terminal, Interrupts]) -> tuple[RunFolder, Verdict]:
    terminal, interrupts = watch
    name = drawn.plan.scenario.name
    run_id = run_id_of(name, session.clock.wall())
    with terminal:
        folder = run_session(
            drawn,
            session,
            run_id,
            Watcher(terminal.on_event, terminal.on_progress, terminal.on_waiting, interrupts.asked),
        )
        terminal.say("judging")
        return folder, judge_folder(folder)


def _exit_code(verdicts: Sequence[Verdict], planned: int) -> int:
    if len(verdicts) < planned:
        return 1 if any(v.outcome is VerdictOutcome.FAIL for v in verdicts) else 3
    return EXIT[worst(verdict.outcome for verdict in verdicts)]
