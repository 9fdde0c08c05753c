"""`harness watch`: how a run is going, read from its files alone, so that looking at it can never disturb it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness.model.errors import HarnessError
from harness.record.append import being_written
from harness.record.clock import Clock, SystemClock
from harness.store.folder import RunFolder
from harness.store.registry import LiveRun, Registry, registry_folder
from harness.watch import RunView, Watching, view_lines

__all__ = ["watch"]

EVERY_S = 0.5


@click.command(short_help="Show how a run is going, from another terminal.")
@click.argument("run", required=False)
@click.option("--once", is_flag=True, help="Print the state once, and end.")
def watch(run: str | None, once: bool) -> int:
    """Show phase, faults, success rate, recovery and time left of a run.

    RUN is an id or a folder; without it, the run that is alive.

    It only reads what the run's recorder writes; the run does not know of it. It ends when the run does.
    """
    folder = _chosen(run)
    watching, clock = Watching(RunFolder(folder)), SystemClock()
    if once:
        click.echo("\n".join(view_lines(watching.look(clock.now()))))
        return 0
    console = Console(highlight=False)
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        for view in _views(watching, folder, clock):
            live.update(Group(*(Text(line) for line in view_lines(view))))
    return 0


def _views(watching: Watching, folder: Path, clock: Clock) -> Iterator[RunView]:
    """A view every half second, and a last one after the recorder has closed its file."""
    while True:
        alive = being_written(folder / "events.jsonl")
        yield watching.look(clock.now())
        if not alive:
            return
        clock.sleep(EVERY_S)


def _chosen(run: str | None) -> Path:
    live = Registry(registry_folder(os.environ)).runs()
    if run is None:
        if not live:
            raise HarnessError("no run is alive on this machine: name a run's folder to see how it went")
        return Path(live[-1].folder)
    return _named(run, live)


def _named(run: str, live: list[LiveRun]) -> Path:
    found = next((Path(one.folder) for one in live if one.run_id == run), Path(run))
    if not (found / "plan.json").exists():
        alive = ", ".join(one.run_id for one in live) or "none"
        raise HarnessError(f"'{run}' is neither a live run nor a run's folder; alive: {alive}")
    return found
