"""The pipeline's verbs: check, plan, run, judge, report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.consent import agree
from harness.cli.pairs import pairs, plan_pairs
from harness.cli.scenarios import (
    STACKS,
    USUAL_MODEL,
    Where,
    load_scenarios,
    make_stack,
    new_seed,
    plan_all,
    within_reach,
)
from harness.cli.several_runs import outcome_of, run_all, summary
from harness.cli.terminal import plan_lines, verdict_lines
from harness.model.errors import HarnessError
from harness.model.expectation import HALVES, Half
from harness.model.scenario import Scenario
from harness.model.verdict import VerdictOutcome
from harness.plan.halves import of_half
from harness.plan.make_plan import Drawn
from harness.plan.parse import json_schema
from harness.scenario_files import known_rules
from harness.session import judge_folder, make_clock
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
    default=USUAL_MODEL,
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
        click.echo(json.dumps(json_schema([rule.name for rule in known_rules()]), indent=2))
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
    where = Where(stack_name, model, url)
    for drawn, _ in _plans(_reachable(load_scenarios(scenarios), scenarios, where), where, seed):
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
@click.option(
    "--pairs",
    "as_pairs",
    is_flag=True,
    help="Run each on a fragile and on a hardened target, and say whether it tells them apart.",
)
@click.option(
    "--fresh", is_flag=True, help="With --pairs: a new stack for every run, where one would be kept up for several."
)
@click.option("--protection", type=click.Choice(HALVES), help="Run that half of the scenarios' control pairs.")
def run(  # noqa: PLR0913, PLR0917  one parameter per option
    scenarios: tuple[Path, ...],
    stack_name: str | None,
    seed: str | None,
    model: Path,
    url: str | None,
    yes: bool,
    out: Path,
    as_expected: bool,
    as_pairs: bool,
    fresh: bool,
    protection: Half | None,
) -> int:
    """Run scenarios one after another: break the target under load, measure, judge, report.

    Ctrl-C heals the target, stops everything and judges what was recorded. If the harness itself dies, its guard does
    the same; 'harness undo' is there for what no process could do.
    """
    if as_pairs and (as_expected or protection):
        raise click.UsageError("--pairs runs both halves as the files say: leave out --as-expected and --protection")
    if fresh and not as_pairs:
        raise click.UsageError("--fresh belongs to --pairs: without it every run has a stack of its own")
    where = Where(stack_name, model, url)
    read = load_scenarios(scenarios)
    registry = Registry(registry_folder(os.environ))
    agreed = registry.folder.parent / "agreed.json"
    if as_pairs:
        own = _own_stack(read, where), model
        halves, stack = plan_pairs(_reachable(read, scenarios, Where(*own), HALVES), own, seed)
        agree([(drawn.plan, stack) for _, _, drawn in halves.drawn], agreed, yes=yes)
        return EXIT[pairs(halves, own, (out, registry), fresh=fresh)]
    read = _reachable([of_half(one, protection) for one in read] if protection else read, scenarios, where)
    prepared = _plans(read, where, seed)
    agree([(drawn.plan, stack) for drawn, stack in prepared], agreed, yes=yes)
    ran = run_all([drawn for drawn, _ in prepared], where, out, registry)
    for line in summary(ran, protection):
        click.echo(line)
    return EXIT[outcome_of(ran, protection, as_expected=as_expected)]


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


def _reachable(
    scenarios: Sequence[Scenario], given: Sequence[Path], where: Where, halves: Sequence[Half | None] = (None,)
) -> list[Scenario]:
    """Without what a folder holds for another kind of stack, which is said."""
    names = {where.of(one) for one in scenarios}
    if len(names) != 1 or names == {"external"} or all(path.is_file() for path in given):
        return list(scenarios)
    (name,) = names
    kept, left_out = within_reach(scenarios, given, make_stack(name, where.model, make_clock(name)), halves)
    for sentence in left_out:
        click.echo(f"left out  {sentence}")
    return kept


def _plans(scenarios: Sequence[Scenario], where: Where, seed: str | None) -> list[tuple[Drawn, Stack]]:
    return plan_all(scenarios, where, seed or new_seed(), make_clock(where.stack or "local"))


def _own_stack(scenarios: Sequence[Scenario], where: Where) -> str:
    """The stack for control pairs. Raises HarnessError for a target of the user's own, which has no two halves."""
    foreign = [one.file for one in scenarios if where.of(one) == "external"]
    if foreign:
        raise HarnessError(
            f"{foreign[0]}: --pairs turns the target's protections off and on, which can be done to the harness's own "
            "targets only: leave out --pairs for a service of your own, or name another --stack"
        )
    return where.stack or "local"
