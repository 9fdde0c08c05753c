"""Where a soak's verbs run and keep what they find: the options that they share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.cli.runs import MODEL
from harness.model.soak import SoakFile
from harness.store.trials import TrialStore

__all__ = ["Place", "Shelf", "kept", "placed"]

_STACK = click.option(
    "--stack",
    "stack_name",
    type=click.Choice(["local", "compose", "fake"]),
    default="local",
    show_default=True,
    help="Where the target runs.",
)
_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Run folders are made in here.",
)
_STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of trials and projections. [default: OUT/soak/NAME]",
)


@dataclass(frozen=True)
class Shelf:
    """Where nights are kept."""

    out: Path
    folder: Path | None  # None: by the soak's name, in `out`

    def store(self, found: SoakFile) -> TrialStore:
        """Of a soak file."""
        return TrialStore((self.folder or self.out / "soak" / found.name) / "trials.jsonl")


@dataclass(frozen=True)
class Place:
    """Where trials are run."""

    stack_name: str
    model: Path
    shelf: Shelf


def kept(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of a shelf, as the verb's one parameter `shelf`."""

    @_OUT
    @_STORE
    @functools.wraps(verb)
    def with_shelf(out: Path, store: Path | None, **others: Any) -> int:
        return verb(shelf=Shelf(out, store), **others)

    return with_shelf


def placed(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of a place, as the verb's one parameter `place`."""

    @_STACK
    @MODEL
    @kept
    @functools.wraps(verb)
    def with_place(stack_name: str, model: Path, shelf: Shelf, **others: Any) -> int:
        return verb(place=Place(stack_name, model, shelf), **others)

    return with_place
