"""Runs on the fake stack, for tests: the whole pipeline in milliseconds, on a clock that passes only when asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.judge import judge
from harness.model.event import Event
from harness.model.history import History
from harness.model.verdict import Verdict
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import Session, Watcher, facts, run_session
from harness.stack.fake.stack import FakeStack
from harness.store.folder import RunFolder
from harness.store.registry import Registry

HEAD = "name: x\nload: {rate_per_s: 20, mix: {chat: 1}}\nphases: {baseline_s: 8, recovery_s: 10}\n"


def run_fake(
    out: Path,
    text: str,
    *,
    head: str = HEAD,
    stack: Callable[[FakeClock], FakeStack] = FakeStack,
    interrupted: Callable[[], int] = lambda: 0,
) -> RunFolder:
    """Plan `text` (without its `head`) and run it."""
    clock = FakeClock()
    made = stack(clock)
    drawn = make_plan(parse_scenario(head + text, "x.yaml"), facts(made), "seed")
    names = {field.name for field in dataclasses.fields(Watcher)}
    watcher = Watcher(**{name: (lambda *_: None) for name in names} | {"interrupted": interrupted})
    return run_session(drawn, Session(made, clock, out, Registry(out / "live"), {}), "run", watcher)


def history_of(out: Path, text: str, **how: Any) -> History:
    """Everything that was observed."""
    return run_fake(out, text, **how).read()


def with_events(history: History, change: Callable[[Event], Event | None]) -> History:
    """The same history with some events changed, or left out."""
    changed = [other for event in history.events if (other := change(event)) is not None]
    return dataclasses.replace(history, events=changed)


def with_column(history: History, name: str, change: Callable[[Any], Any]) -> History:
    """The same history with one column of the requests changed (a plain copy of it is given)."""
    column = history.requests[name]
    plain = np.array(column, dtype=None if isinstance(column, np.ndarray) else object)
    return dataclasses.replace(history, requests={**history.requests, name: change(plain)})


def verdict_of(out: Path, text: str, **how: Any) -> Verdict:
    """What the judge says of it."""
    return judge(history_of(out, text, **how))
