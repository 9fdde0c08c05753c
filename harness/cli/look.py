"""Verbs that only look: explain, faults, doctor."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import click

from harness.doctor import examine
from harness.model.fault import Fault
from harness.model.faults import FAULTS
from harness.store.folder import RunFolder

__all__ = ["doctor", "explain", "faults"]


@click.command(short_help="Print the requests and events at an episode's edges.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("episode", type=click.IntRange(min=1))
def explain(folder: Path, episode: int) -> int:
    """Print the requests and events at an episode's edges: what was lost first and last, and what came back when."""
    from harness.analysis.explain import explain_episode  # here, since pandas takes half a second to import

    for line in explain_episode(RunFolder(folder).read(), episode):
        click.echo(line)
    return 0


@click.command(short_help="List what can be broken, with the keys of each.")
def faults() -> int:
    """List what can be broken, and the keys of each fault."""
    for kind, cls in sorted(FAULTS.items()):
        click.echo(f"{kind:24} {(cls.__doc__ or '').splitlines()[0]}")
        needs = sorted(cls(kind=kind).capabilities)
        click.echo(f"{'':24} needs: {', '.join(needs)}; keys: {', '.join(_keys(cls))}")
    return 0


@click.command(short_help="Say what this machine can do and what is missing.")
def doctor() -> int:
    """Say what this machine can do, what is missing and how to get it."""
    worst = 0
    for item in examine():
        click.echo(f"{'ok  ' if item.ok else 'miss' if item.needed else '-   '}  {item.what}: {item.finding}")
        if not item.ok:
            click.echo(f"      {item.remedy}")
            worst = 2 if item.needed else worst
    return worst


def _keys(cls: type[Fault]) -> list[str]:
    hints = typing.get_type_hints(cls)
    shown = []
    for field in dataclasses.fields(cls):
        if field.name != "kind" and field.name in hints:
            default = (
                "" if field.default is dataclasses.MISSING else f"={'null' if field.default is None else field.default}"
            )
            shown.append(f"{field.name}{default}")
    return shown
