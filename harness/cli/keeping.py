"""A stack that is kept up for the runs of one command or one session of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from harness.cli.scenarios import make_stack
from harness.kept_stack import KeptStack
from harness.model.errors import HarnessError
from harness.plan.make_plan import Drawn
from harness.session import Session, make_clock
from harness.stack.base import Reusable
from harness.store.registry import Registry

__all__ = ["discarded_by_defects", "ended", "keeper_of", "kept_session"]


def keeper_of(where: tuple[str, Path], out: Path, registry: Registry) -> KeptStack | None:
    """Who keeps a stack up for several runs; None: stacks of that name serve one."""
    clock = make_clock(where[0])
    if not isinstance(make_stack(where[0], where[1], clock), Reusable):
        return None
    return KeptStack(lambda: make_stack(where[0], where[1], clock), (out, registry), os.environ)


def kept_session(keeper: KeptStack, drawn: Drawn, places: tuple[Path, Registry]) -> Session:
    """A run on the stack that is kept, or on a new one if that serves another target."""
    stack = keeper.for_plan(drawn.plan)
    return Session(stack, make_clock(stack.name), *places, os.environ, keeper)


@contextmanager
def discarded_by_defects(keeper: KeptStack | None) -> Iterator[None]:
    """A run that ends by what nobody expected leaves its stack to no other: what it checks may be what is wrong."""
    try:
        yield
    except HarnessError:
        raise
    except BaseException as error:  # a time-out of pytest is no Exception
        if keeper is not None:
            keeper.discard(f"a run on it ended by a {type(error).__name__}")
        raise


@contextmanager
def ended(keeper: KeptStack | None) -> Iterator[None]:
    """Whatever happens, its stack is gone afterwards; what is not gone is said."""
    try:
        yield
    finally:
        for problem in (keeper.end() if keeper else None) or ():
            click.echo(f"not cleaned up yet: {problem}", err=True)
