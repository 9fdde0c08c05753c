"""`harness soak`: check, measure, project, nightly, run, report, add."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.runs import EXIT, SEED
from harness.cli.scenarios import make_stack, new_seed
from harness.cli.soak_places import Place, Shelf, kept, placed
from harness.cli.terminal import Terminal
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError, Problem, ScenarioError
from harness.model.soak import SoakFile
from harness.recover import sweep
from harness.session import Session, Watcher, make_clock
from harness.store.registry import Registry, registry_folder
from harness.store.trials import TrialStore

if TYPE_CHECKING:
    from harness.campaign.soak_night import Field
    from harness.model.soak_report import SoakReport
    from harness.model.soak_trials import Night

__all__ = ["load_soak", "parse_time_s", "soak"]

FILE = click.argument("file", type=click.Path(path_type=Path), metavar="SOAK")
BUDGET = click.option(
    "--budget", default=None, metavar="TIME", help="Wall time, as in 60m or 2h. [default: the file's]"
)
NOT_TRUSTED = 3


@click.group(short_help="What thirty days would cost, from faults that were really injected.")
def soak() -> None:
    """Measure real trials, project a month from them, and say what that does not show.

    \b
    harness soak check scenarios/soak/thirty-days.yaml    what is wrong with the file
    harness soak measure scenarios/soak/thirty-days.yaml  one night of trials into the store
    harness soak project scenarios/soak/thirty-days.yaml  the month, from every night that may be pooled
    harness soak nightly scenarios/soak/thirty-days.yaml  both, and the report
    """


@soak.command(short_help="Show everything that is wrong with soak files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOAK…")
@BUDGET
def check(files: tuple[Path, ...], budget: str | None) -> int:
    """Read soak files and say what a night could resolve; nothing is touched."""
    from harness.soak.resolves import what_it_can_resolve
    from harness.soak.schedule import draw_night

    for path in files:
        found = load_soak(path)
        schedule = draw_night(found, "check", _budget_s(found, budget))
        click.echo(f"{path}: ok  {found.hypothesis}")
        for sentence in what_it_can_resolve(found, schedule):
            click.echo(f"{'':10}{sentence}")
    return 0


@soak.command(short_help="One night of real trials into the store.")
@FILE
@placed
@SEED
@BUDGET
def measure(file: Path, place: Place, seed: str | None, budget: str | None) -> int:
    """Inject every fault type in random order with random gaps, and store each as an episode record."""
    found = load_soak(file)
    night = _measure(found, _field(found, place), seed, _budget_s(found, budget))
    return 0 if night.trusted and any(trial.valid for trial in night.trials) else NOT_TRUSTED


@soak.command(short_help="Project the month from the store's trials.")
@FILE
@kept
def project(file: Path, shelf: Shelf) -> int:
    """Project the month from every night that may be pooled, and write the report."""
    found = load_soak(file)
    return EXIT[_project(found, shelf.store(found)).outcome]


@soak.command(short_help="Measure, project, back-test, compare, report.")
@FILE
@placed
@SEED
@BUDGET
def nightly(file: Path, place: Place, seed: str | None, budget: str | None) -> int:
    """One command for cron: exit code 0 when every objective is kept, 1 when one is not, 3 when nobody can tell."""
    found = load_soak(file)
    field = _field(found, place)
    _measure(found, field, seed, _budget_s(found, budget))
    return EXIT[_project(found, field.store).outcome]


@soak.command(short_help="The same schedule for real, uncompressed; goes on after a reboot.")
@FILE
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=None, help="How long a new run is.")
@click.option("--leg", default="60m", show_default=True, metavar="TIME", help="How long one life of the stack lasts.")
@click.option("--resume", is_flag=True, help="Go on with the run that was stopped, or broke off.")
@placed
@SEED
def run(  # noqa: PLR0913, PLR0917  one parameter per option
    file: Path, hours: float | None, leg: str, resume: bool, place: Place, seed: str | None
) -> int:
    """Real time: the faults of the file at their rates, in legs. What is recorded survives SIGKILL and reboots."""
    from harness.cli.soak_real import begin_run, go_on

    found = load_soak(file)
    field = _field(found, place)
    folder = field.store.path.parent / "real"
    if not resume:
        if hours is None:
            raise click.UsageError("say --hours for a new run, or --resume to go on with one")
        begin_run(folder, file, hours, (parse_time_s(leg), seed or new_seed()))
    return go_on(found, field, folder, lambda: make_stack(place.stack_name, place.model, field.session.clock))


@soak.command(short_help="Print a projection's report.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="STORE")
@click.option("--format", "name", type=click.Choice(["html", "md", "json"]), default="md", show_default=True)
def report(folder: Path, name: str) -> int:
    """Print the report of a projection, rendered anew from its projection.json."""
    from harness.render.soak import to_html, to_markdown
    from harness.store.projection import read_projection, to_json

    found = read_projection(folder)
    click.echo({"html": to_html, "md": to_markdown, "json": to_json}[name](found))
    return 0


@soak.command(short_help="Add a run's folder to the store.")
@FILE
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@placed
def add(file: Path, folder: Path, place: Place) -> int:
    """Put a run of trials into the store whose harness died, or whose disk was full, before it could."""
    from harness.campaign.soak_night import record_run
    from harness.store.folder import RunFolder

    found = load_soak(file)
    field = _field(found, place)
    night = record_run(found, RunFolder(folder), field)
    field.store.add(night)
    _say_night(night)
    return 0


def load_soak(path: Path) -> SoakFile:
    """Raises ScenarioError with every problem, HarnessError for a file that is not there."""
    from harness.soak.parse import parse_soak

    try:
        return parse_soak(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise HarnessError(f"{path}: there is no such file; soak files lie in scenarios/soak") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError([Problem(str(path), 1, f"cannot be read: {error}")]) from error


def _budget_s(found: SoakFile, given: str | None) -> float:
    return found.measure.budget_min * 60 if given is None else parse_time_s(given)


def parse_time_s(text: str) -> float:
    """`90s`, `60m`, `2h` in seconds. Raises click.BadParameter."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    try:
        value = float(text[:-1])
    except ValueError:
        value = math.nan
    if unit is None or not 0 < value < math.inf:
        raise click.BadParameter(f"'{text}' is no time: give a number above 0 with its unit, as in 90s, 60m or 2h")
    return value * unit


def _field(found: SoakFile, place: Place) -> Field:
    from harness.campaign.soak_night import Field

    clock = make_clock(place.stack_name)
    stack = make_stack(place.stack_name, place.model, clock)
    session = Session(stack, clock, place.shelf.out, Registry(registry_folder(os.environ)), os.environ)
    return Field(session, place.model, place.shelf.store(found))


def _measure(found: SoakFile, field: Field, seed: str | None, budget_s: float) -> Night:
    from harness.campaign.soak_night import measure_night, plan_night

    earlier, damage = field.store.read()  # before anything is touched: a store of another version is refused
    for sentence in damage:
        click.echo(f"harness: {sentence}", err=True)
    session = field.session
    drawn = plan_night(found, session, seed or new_seed(), budget_s, _earlier(found, earlier))
    for done in sweep(session.registry):
        click.echo(f"cleaned up after run {done.run_id}, which had died", err=True)
    terminal = Terminal(drawn.plan, (1, 1))
    with Interrupts() as interrupts, terminal:
        watcher = Watcher(terminal.on_event, terminal.on_progress, terminal.on_waiting, interrupts.asked)
        folder, night = measure_night(found, drawn, field, run_id_of(found.name, session.clock.wall()), watcher)
    _say_night(night)
    click.echo(f"{'replay':10}{drawn.plan.replay}")
    click.echo(f"{'run':10}{folder.path}")
    return night


def _earlier(found: SoakFile, nights: tuple[Night, ...]) -> int:
    """Verified trials of the rarest type in the store; whether they may be pooled is known only afterwards."""
    from harness.soak.sample import sample_of

    return min((one.n for one in sample_of(found, nights).types), default=0)


def _say_night(night: Night) -> None:
    names = sorted({trial.fault_type for trial in night.trials})
    for name in names:
        mine = [trial for trial in night.trials if trial.fault_type == name]
        good = [trial for trial in mine if trial.valid]
        lost = f", lost {sum(t.lost for t in good) / len(good):.1f} requests each on average" if good else ""
        why = next((f"; the first: {t.invalid_reason}" for t in mine if not t.valid), "")
        thrown = f", {len(mine) - len(good)} thrown out{why}" if len(good) < len(mine) else ""
        click.echo(f"{'trials':10}{name}: {len(good)} verified{lost}{thrown}")
    for doubt in night.doubts:
        click.echo(f"{'doubt':10}{doubt}")
    per_hour = sum(trial.valid for trial in night.trials) / max(night.duration_s, 1e-9) * 3600
    click.echo(f"{'rate':10}{per_hour:.0f} verified trials per hour of load")


def _project(found: SoakFile, store: TrialStore) -> SoakReport:
    from harness.campaign.soak_report import make_report

    report_, damage = make_report(found, store)
    for sentence in damage:
        click.echo(f"harness: {sentence}", err=True)
    from harness.render.soak import terminal_lines

    for line in terminal_lines(report_):
        click.echo(line)
    click.echo(f"{'report':10}{store.path.parent / 'report.html'}")
    return report_
