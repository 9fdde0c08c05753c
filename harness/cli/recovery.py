"""Verbs for what is still running or was left behind: stop, undo."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from harness.model.errors import HarnessError
from harness.recover import recover, sweep
from harness.stack.owned import ProcessId, process_state
from harness.store.registry import LiveRun, Registry, registry_folder

__all__ = ["clean_up_after_the_dead", "stop", "undo"]


def clean_up_after_the_dead() -> None:
    """Heal and clear what dead runs of this machine left behind, and say so."""
    for done in sweep(Registry(registry_folder(os.environ))):
        words = f"cleaned up after run {done.run_id}, which had died: {done.killed} processes ended"
        click.echo(f"run {done.run_id} had died, and is not cleaned up yet:" if done.errors else words, err=True)
        for error in done.errors:
            click.echo(f"  not healed: {error}", err=True)


@click.command(short_help="Ask live runs to heal, clean up and judge.")
@click.argument("run", required=False)
def stop(run: str | None) -> int:
    """Ask a live run (default: all of this machine) to heal its target, clean up and judge what it has."""
    asked: set[int] = set()  # a stack that is kept for several runs is registered beside the run: one owner, asked once
    for live in _chosen(run):
        if _owner_alive(live):
            if live.owner_pid not in asked:
                os.kill(live.owner_pid, signal.SIGINT)
            asked.add(live.owner_pid)
            click.echo(f"asked {live.run_id} to stop")
        else:
            click.echo(f"{live.run_id} is not running any more: 'harness undo {live.run_id}' cleans up after it")
    return 0


@click.command(short_help="Heal and clear what dead runs left behind.")
@click.argument("run", required=False)
def undo(run: str | None) -> int:
    """Heal and clear what dead runs left behind (RUN: an id or a run's folder; default: all of this machine)."""
    code = 0
    registry = Registry(registry_folder(os.environ))
    for live in _chosen(run):
        if _owner_alive(live):
            raise HarnessError(f"{live.run_id} is still running: use 'harness stop {live.run_id}'")
        done = recover(live, registry)
        click.echo(f"{done.run_id}: faults healed, {done.killed} processes ended")
        for error in done.errors:
            click.echo(f"  not healed: {error}", err=True)
            code = 3
    return code


def _chosen(run: str | None) -> list[LiveRun]:
    registry = Registry(registry_folder(os.environ))
    runs = registry.runs()
    if run is None:
        if not runs:
            click.echo("no run is alive, and none left anything behind")
        return runs
    found = [live for live in runs if run == live.run_id or Path(run).resolve() == Path(live.folder)]
    if found:
        return found
    if (Path(run) / "undo.jsonl").exists():
        return [LiveRun(Path(run).resolve().name, str(Path(run).resolve()), 0, 0)]
    raise HarnessError(
        f"'{run}' is neither a live run nor a run's folder; alive: {', '.join(r.run_id for r in runs) or 'none'}"
    )


def _owner_alive(live: LiveRun) -> bool:
    return process_state(ProcessId(live.owner_pid, live.owner_started)) not in (None, "Z")
