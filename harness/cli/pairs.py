"""`harness run --pairs`: every scenario on a fragile and on a hardened target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from harness.campaign.pairs import Halves, run_pairs
from harness.cli.keeping import ended, keeper_of, kept_session
from harness.cli.one_run import make_session, run_one
from harness.cli.scenarios import Where, make_plans, make_stack, new_seed
from harness.cli.terminal import Terminal, verdict_lines
from harness.interrupts import Interrupts
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome
from harness.plan.make_plan import Drawn
from harness.record.clock import SystemClock
from harness.session import make_clock
from harness.stack.base import Stack
from harness.store.registry import Registry

__all__ = ["pairs", "plan_pairs"]


def plan_pairs(scenarios: Sequence[Scenario], where: tuple[str, Path], seed: str | None) -> tuple[Halves, Stack]:
    """Both halves of each, and the stack that they were planned for. Raises ScenarioError with all that is wrong."""
    name, model = where
    stack, chosen = make_stack(name, model, make_clock(name)), seed or new_seed()
    return Halves.of(scenarios, lambda every: make_plans(every, stack, chosen, Where(*where)), name, chosen), stack


def pairs(halves: Halves, where: tuple[str, Path], places: tuple[Path, Registry], *, fresh: bool) -> VerdictOutcome:
    """Run both halves of each; prints and writes the table. `fresh`: each on a stack of its own."""
    from harness.render.pairs import PAIR_RENDERERS, pairs_lines  # here, since rendering takes time to import

    out, registry = places
    keeper = None if fresh else keeper_of(where, out, registry)
    with Interrupts() as interrupts, ended(keeper):
        number = 0

        def run_half(drawn: Drawn) -> tuple[Verdict, Path]:
            nonlocal number
            number += 1
            click.echo(f"-- on {drawn.plan.scenario.half}")
            terminal = Terminal(drawn.plan, (number, len(halves.drawn)))
            session = make_session(where, out, registry) if keeper is None else kept_session(keeper, drawn, places)
            folder, verdict = run_one(drawn, session, (terminal, interrupts))
            for line in verdict_lines(verdict, folder.path):
                click.echo(line)
            if keeper is not None and keeper.new_because:
                click.echo(f"stack     not kept for the next run: {keeper.new_because}")
            return verdict, folder.path

        report = run_pairs(halves, run_half, SystemClock(), interrupts.asked)
    click.echo()
    for line in pairs_lines(report):
        click.echo(line)
    out.mkdir(parents=True, exist_ok=True)
    for name, renderer in PAIR_RENDERERS.items():
        (out / name).write_text(renderer(report), encoding="utf-8")
    click.echo(f"{'table':10}{out / 'pairs.html'}")
    return report.outcome
