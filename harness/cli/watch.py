"""`harness watch`: how a run is going, read from its files alone, so that looking at it can never disturb it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness.archive import read_verdict
from harness.model.errors import HarnessError
from harness.record.append import being_written
from harness.record.clock import Clock, SystemClock
from harness.store.folder import RunFolder
from harness.store.registry import LiveRun, Registry, registry_folder
from harness.watch import RunView, Watching, view_lines

__all__ = ["watch"]

EVERY_S = 0.5
VERDICT_WITHIN_S = 30.0  # after the run's end, before nobody waits for it any more


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
        view = watching.look(clock.now())
        click.echo("\n".join([*view_lines(view), *(_end_lines(folder) if view.ended else [])]))
        return 0
    console, seen = Console(highlight=False), 0
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        for view in _views(watching, folder, clock):
            # Cut, not wrapped: a view that changes its height cannot be read.
            live.update(Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in view_lines(view))))
            seen += 1
    if seen > 1 and view.ended:  # it ended before our eyes, and is being judged
        _wait_for_verdict(folder, clock)
    click.echo("\n".join(_end_lines(folder)))
    return 0


def _wait_for_verdict(folder: Path, clock: Clock) -> None:
    give_up_s = clock.now() + VERDICT_WITHIN_S
    wanted = [folder / "verdict.json", folder / "report.html"]
    while clock.now() < give_up_s and not all(path.exists() for path in wanted):
        clock.sleep(EVERY_S)


def _end_lines(folder: Path) -> list[str]:
    """The verdict, if there is one yet, and where it can be read."""
    report = f"report    {folder / 'report.html'}"
    try:
        verdict = read_verdict(folder)
    except HarnessError:
        return [f"next      harness judge {folder}"]
    return [f"verdict   {verdict.outcome.upper()}: {' '.join(verdict.reason.split())}", report]


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
        # A run that is over is registered until everything is cleaned up.
        live = [one for one in live if being_written(Path(one.folder) / "events.jsonl")] or live
        others = ", ".join(one.run_id for one in live[:-1])
        if others:
            click.echo(f"also alive: {others}; name one to watch it", err=True)
        return Path(live[-1].folder)
    return _named(run, live)


def _named(run: str, live: list[LiveRun]) -> Path:
    found = next((Path(one.folder) for one in live if one.run_id == run), Path(run))
    if not (found / "plan.json").exists():
        alive = ", ".join(one.run_id for one in live) or "none"
        raise HarnessError(f"'{run}' is neither a live run nor a run's folder; alive: {alive}")
    return found
