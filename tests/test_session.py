"""One run from plan to folder: what is registered while it lasts, and what is left of one that could not begin."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import RunBroken
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.append import AppendLog, being_written
from harness.record.clock import FakeClock
from harness.session import Session, Watcher, facts, run_session
from harness.stack.fake.stack import FakeStack
from harness.store.registry import Registry


class Real:
    """Not the fake stack by its class, so that its run is registered and guarded."""

    def __init__(self, stack: FakeStack) -> None:
        self._stack = stack

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)


def test_a_run_that_cannot_be_recorded_leaves_nothing_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, registry = FakeClock(), Registry(tmp_path / "live")
    stack = FakeStack(clock)
    drawn = make_plan(parse_scenario("name: x\n", "x.yaml"), facts(stack), "7")
    session = Session(Real(stack), clock, tmp_path, registry, {})  # type: ignore[arg-type]  # a stand-in
    seen: list[list[str]] = []

    def full(*_: object) -> None:
        seen.append([run.run_id for run in registry.runs()])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AppendLog, "write", full)
    with pytest.raises(RunBroken, match=r"cannot record run_begin .*No space left"):
        run_session(drawn, session, "run", Watcher(*(lambda *_: None,) * 3, lambda: 0))
    assert seen == [["run"]], "it is registered before anything happens"
    assert registry.runs() == []
    assert not being_written(tmp_path / "run" / "events.jsonl")
