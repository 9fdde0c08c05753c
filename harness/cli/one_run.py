"""One run with a terminal that tells how it goes: what `run` and `run --pairs` share."""

from __future__ import annotations

import os
from pathlib import Path

from harness.cli.scenarios import Where, make_stack, stack_for
from harness.cli.terminal import Terminal
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict
from harness.plan.make_plan import Drawn
from harness.session import Session, Watcher, judge_folder, make_clock, run_session
from harness.store.folder import RunFolder
from harness.store.registry import Registry

__all__ = ["make_session", "run_one", "session_for"]


def make_session(where: tuple[str, Path], out: Path, registry: Registry) -> Session:
    """A stack of its own, with nothing started. `where`: its name and the model's folder."""
    clock = make_clock(where[0])
    return Session(make_stack(where[0], where[1], clock), clock, out, registry, os.environ)


def session_for(where: Where, scenario: Scenario, out: Path, registry: Registry) -> Session:
    """The same, on the stack that a scenario names or `where` does."""
    clock = make_clock(where.of(scenario))
    return Session(stack_for(where, scenario, clock), clock, out, registry, os.environ)


def run_one(drawn: Drawn, session: Session, watch: tuple[Terminal, Interrupts]) -> tuple[RunFolder, Verdict]:
    """Run and judge."""
    terminal, interrupts = watch
    half = f"-{drawn.plan.scenario.half}" if drawn.plan.scenario.half else ""
    run_id = run_id_of(f"{drawn.plan.scenario.name}{half}", session.clock.wall())
    with terminal:
        folder = run_session(
            drawn,
            session,
            run_id,
            Watcher(terminal.on_event, terminal.on_progress, terminal.on_waiting, interrupts.asked),
        )
        terminal.say("judging")
        return folder, judge_folder(folder)
