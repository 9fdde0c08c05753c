"""`harness run --pairs`: every scenario on a fragile and on a hardened target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from harness.campaign.pairs import Halves, run_pairs
from harness.cli.defects import defect_sentence
from harness.cli.keeping import discarded_by_defects, ended, keeper_of, kept_session
from harness.cli.one_run import make_session, run_one
from harness.cli.scenarios import Where, make_plans, make_stack, new_seed
from harness.cli.terminal import Terminal, verdict_lines
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError, unexpected
from harness.model.pairs import PairsReport
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome, worst
from harness.plan.make_plan import Drawn
from harness.record.clock import SystemClock
from harness.session import make_clock
from harness.stack.base import Stack
from harness.store.projection import write_files
from harness.store.registry import Registry

__all__ = ["pairs", "plan_pairs"]


def plan_pairs(scenarios: Sequence[Scenario], where: tuple[str, Path], seed: str | None) -> tuple[Halves, Stack]:
    """Both halves of each, and the stack that they were planned for. Raises ScenarioError with all that is wrong."""
    name, model = where
    stack, chosen = make_stack(name, model, make_clock(name)), seed or new_seed()
    return Halves.of(scenarios, lambda every: make_plans(every, stack, chosen, Where(*where)), name, chosen), stack


def pairs(halves: Halves, where: tuple[str, Path], places: tuple[Path, Registry], *, fresh: bool) -> VerdictOutcome:
    """Run both halves of each; prints and writes the table. `fresh`: each on a stack of its own."""
    from harness.render.pairs import pairs_lines  # here, since rendering takes time to import

    out, registry = places
    keeper = None if fresh else keeper_of(where, out, registry)
    table = _Table(out)
    with Interrupts() as interrupts, ended(keeper):
        number = 0

        def run_half(drawn: Drawn) -> tuple[Verdict, Path]:
            nonlocal number
            number += 1
            click.echo(f"-- on {drawn.plan.scenario.half}")
            terminal = Terminal(drawn.plan, (number, len(halves.drawn)))
            with _said(), discarded_by_defects(keeper):
                session = make_session(where, out, registry) if keeper is None else kept_session(keeper, drawn, places)
                folder, verdict = run_one(drawn, session, (terminal, interrupts))
            for line in verdict_lines(verdict, folder.path):
                click.echo(line)
            if keeper is not None and keeper.new_because:
                click.echo(f"stack     not kept for the next run: {keeper.new_because}")
            return verdict, folder.path

        report = run_pairs(halves, run_half, SystemClock(), interrupts.asked, table.write)
    click.echo()
    for line in pairs_lines(report):
        click.echo(line)
    if table.problem:
        click.echo(f"harness: the table is not on the disk: {table.problem}", err=True)
        return worst([report.outcome, VerdictOutcome.INCONCLUSIVE])
    click.echo(f"{'table':10}{out / 'pairs.html'}")
    return report.outcome


@contextmanager
def _said() -> Iterator[None]:
    """Why a half has no verdict, at once and not only in the table at the end."""
    try:
        yield
    except HarnessError as error:
        click.echo(f"no verdict: {error}", err=True)
        raise
    except Exception as error:
        click.echo(f"no verdict: {defect_sentence(error)}", err=True)
        raise


class _Table:
    """The files of the table, rewritten as it grows; a disk that is full by then costs the table and no run."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.problem = ""  # with the latest

    def write(self, report: PairsReport) -> None:
        """Replace each as a whole."""
        from harness.render.pairs import PAIR_RENDERERS

        try:
            write_files(self._out, {name: renderer(report) for name, renderer in PAIR_RENDERERS.items()}, "--out")
        except HarnessError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001  nor does a page that cannot be made
            self.problem = unexpected(error)
        else:
            self.problem = ""
