"""The real-time run's edge: its folder, its terminal, its signals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.campaign.run_journal import RunJournal
from harness.campaign.soak_run import RealTime, run_real_time
from harness.cli.terminal import Terminal
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError
from harness.model.soak import SoakFile
from harness.plan.make_plan import Drawn
from harness.recover import sweep
from harness.session import Watcher
from harness.stack.base import Stack

if TYPE_CHECKING:
    from harness.campaign.soak_night import Field

__all__ = ["begin_run", "go_on"]

COMPLETE, STOPPED = 0, 3


def begin_run(folder: Path, file: Path, hours: float, how: tuple[float, str]) -> None:
    """Write the journal's first line. Raises HarnessError when an unfinished run is there."""
    leg_s, seed = how
    journal = RunJournal(folder / "run.jsonl")
    if journal.path.exists():
        plan, done, open_leg = journal.read()
        if open_leg is not None or done.end_s < float(plan["hours"]) * 3600 - 1:
            at = f"{done.end_s / 3600:.2f} of {plan['hours']:g} h"
            raise HarnessError(f"{folder} holds a run that is at {at}: go on with --resume, or choose another --store")
        journal.path.rename(folder / f"run-{plan['seed']}.jsonl")
    journal.begin(hours=hours, leg_s=leg_s, seed=seed, file=str(file), sha256=_digest(file))


def go_on(found: SoakFile, field: Field, folder: Path, fresh_stack: Callable[[], Stack]) -> int:
    """Run until the schedule's end, or until asked to stop. Exit code 0 when it is complete."""
    plan, _, _ = RunJournal(folder / "run.jsonl").read()
    if plan["sha256"] != _digest(Path(found.file)):
        raise HarnessError(f"{found.file} is not what this run began with: put it back, or choose another --store")
    it = RealTime(found, field, folder, float(plan["hours"]), float(plan["leg_s"]), str(plan["seed"]), fresh_stack)
    session = field.session
    for done in sweep(session.registry):
        click.echo(f"cleaned up after run {done.run_id}, which had died", err=True)
    with Interrupts() as interrupts:

        def watch(drawn: Drawn) -> Watcher:
            terminal = Terminal(drawn.plan, (1, 1))  # without its live line: legs are long, and cron reads this
            return Watcher(terminal.on_event, lambda *_: None, terminal.on_waiting, interrupts.asked)

        complete = run_real_time(it, watch, lambda: run_id_of(found.name, session.clock.wall()), click.echo)
    if not complete:
        click.echo(f"stopped: go on with 'harness soak run {found.file} --resume'")
    return COMPLETE if complete else STOPPED


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise HarnessError(f"{file} cannot be read: {error.strerror}") from error
