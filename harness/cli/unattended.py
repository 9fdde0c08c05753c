"""A run that nobody watches: for tests."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from harness.cli.consent import agree
from harness.cli.keeping import discarded_by_defects, kept_session
from harness.cli.scenarios import Where, new_seed, plan_all
from harness.interrupts import Interrupts
from harness.kept_stack import KeptStack
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict
from harness.recover import sweep
from harness.session import Session, Watcher, judge_folder, make_clock, run_session
from harness.store.registry import Registry, registry_folder

__all__ = ["Unattended", "run_id_of", "run_unattended"]


@dataclass(frozen=True)
class Unattended:
    """What came of it."""

    folder: Path
    verdict: Verdict
    interrupted: bool  # the user asked to stop


def run_id_of(name: str, wall: str) -> str:
    """A name that sorts by time and is unique: 20261120-174500-kill-primary-3fa1."""
    stamp = wall[:19].replace(":", "").replace("-", "").replace("T", "-")
    return f"{stamp}-{name}-{secrets.token_hex(2)}"


def run_unattended(
    scenario: Scenario, where: Where, seed: str | None, out: Path, keeper: KeptStack | None = None
) -> Unattended:
    """Run one scenario where it belongs, or on a stack that is kept. Raises HarnessError."""
    registry = Registry(registry_folder(os.environ))
    sweep(registry)
    clock = make_clock(where.of(scenario))
    drawn, stack = plan_all([scenario], where, seed or new_seed(), clock)[0]
    agree([(drawn.plan, stack)], registry.folder.parent / "agreed.json", yes=bool(os.environ.get("HARNESS_YES")))
    half = f"-{scenario.half}" if scenario.half else ""
    with Interrupts() as interrupts, discarded_by_defects(keeper):
        watcher = Watcher(lambda _: None, lambda *_: None, lambda _: None, interrupts.asked)
        if keeper is None:
            session = Session(stack, clock, out, registry, os.environ)
        else:
            session = kept_session(keeper, drawn, (out, registry))
        folder = run_session(drawn, session, run_id_of(f"{scenario.name}{half}", clock.wall()), watcher)
        return Unattended(folder.path, judge_folder(folder), interrupts.asked() > 0)
