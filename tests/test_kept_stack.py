"""A stack for several runs: kept while it is as it came up, and never left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.keeping import discarded_by_defects, ended
from harness.kept_stack import KeptStack
from harness.model.errors import StackError
from harness.model.plan import Plan
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.record.journal import Inverse, Journal
from harness.session import facts
from harness.stack.base import RunContext
from harness.stack.fake.stack import FakeStack
from harness.store.registry import Registry

pytestmark = pytest.mark.process  # its guard is a process

TEXT = "name: x\nload: {rate_per_s: 20, mix: {chat: 1}}\nphases: {baseline_s: 8, recovery_s: 10}\n"


class Lasting(FakeStack):
    """Says what was done with it, and what differs when a run has ended."""

    def __init__(self, done: list[str]) -> None:
        super().__init__(FakeClock())
        self.done = done
        self.different: str | None = None
        self.changed_since: str | None = None
        self.fails = ""
        self.error: BaseException | None = None  # instead of a StackError

    def up(self, run: RunContext) -> None:
        assert run.home is not None
        self._do("up")

    def serve(self, run: RunContext) -> None:
        self._do("serve")

    def release(self) -> str | None:
        self._do("release")
        return self.different

    def changed(self) -> str | None:
        return self.changed_since

    def down(self) -> None:
        self._do("down")

    def _do(self, what: str) -> None:
        self.done.append(what)
        if self.fails == what:
            raise self.error or StackError(f"{what} failed")


def plan_of(more: str = "", seed: str = "7") -> Plan:
    return make_plan(parse_scenario(TEXT + more, "x.yaml"), facts(FakeStack(FakeClock())), seed).plan


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def kept(tmp_path: Path, done: list[str]) -> Iterator[KeptStack]:
    keeper = KeptStack(lambda: Lasting(done), (tmp_path, Registry(tmp_path / "live")), dict(os.environ))
    yield keeper
    keeper.end()


@pytest.fixture
def run(tmp_path: Path, kept: KeptStack) -> Callable[..., Any]:
    """One run; what `change` does to the stack happens while it lasts."""

    def once(plan: Plan | None = None, change: Callable[[Lasting], None] = lambda _: None) -> list[str] | None:
        stack = kept.for_plan(plan or plan_of())
        assert isinstance(stack, Lasting)
        kept.up(RunContext("r", tmp_path / "r", 0.0))
        change(stack)
        return kept.down()

    return once


def left(folder: Path) -> list[str]:
    return [run.run_id for run in Registry(folder / "live").runs()]


def test_runs_on_equal_targets_share_one_that_is_as_it_came_up(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    for number in range(3):
        assert kept.runs_before == number
        run()
    assert done == ["up", "release", "serve", "release", "serve", "release"]
    assert kept.new_because == ""


def test_it_is_registered_and_guarded_from_before_it_is_started_until_it_is_gone(
    kept: KeptStack, run: Callable[..., Any], tmp_path: Path
) -> None:
    seen: list[list[str]] = []
    run(change=lambda _: seen.append(left(tmp_path)))
    home = kept.home
    assert seen == [[home.run_id]]
    assert left(tmp_path) == [home.run_id]
    assert home.folder == tmp_path / ".kept" / home.run_id and home.folder.is_dir()
    kept.end()
    assert left(tmp_path) == []
    assert not (tmp_path / ".kept").exists()


def test_what_a_run_left_behind_is_said_and_the_next_one_gets_a_new_stack(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    run(change=lambda stack: setattr(stack, "different", "primary is down"))
    assert done == ["up", "release", "down"]
    assert kept.new_because == "primary is down"
    run()
    assert done[3:] == ["up", "release"]
    assert kept.new_because == ""


@pytest.mark.parametrize(
    "other",
    [
        plan_of("target: {protection: hardened}\n"),
        plan_of(seed="8"),
        replace(plan_of(), environment={"TARGET_REPLICA_X": "1"}),
    ],
    ids=["target", "seed", "environment"],
)
def test_another_target_another_seed_or_environment_gets_a_new_stack(
    run: Callable[..., Any], done: list[str], other: Plan
) -> None:
    run()
    run(other)
    assert done == ["up", "release", "down", "up", "release"]


def test_a_stack_that_cannot_say_how_it_is_left_is_not_kept(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    run(change=lambda stack: setattr(stack, "fails", "release"))
    assert done == ["up", "release", "down"]
    assert kept.new_because == "release failed"


@pytest.mark.parametrize("error", [ValueError("odd"), KeyboardInterrupt()])
def test_whatever_keeps_it_from_being_looked_at_to_the_end_it_serves_nobody_else(
    kept: KeptStack, run: Callable[..., Any], done: list[str], error: BaseException
) -> None:
    def breaks(stack: Lasting) -> None:
        stack.fails, stack.error = "release", error

    with suppress(KeyboardInterrupt):  # as of a time-out of pytest
        run(change=breaks)
    assert done == ["up", "release", "down"]
    run()
    assert done[3:] == ["up", "release"]


def test_a_stack_on_which_a_fault_could_not_be_taken_back_serves_nobody_else(
    kept: KeptStack, run: Callable[..., Any], done: list[str], tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    journal = Journal(tmp_path / "r" / "undo.jsonl")
    number = journal.intend(Inverse("process.continue", {"pid": 0}))
    run()
    assert done == ["up", "release", "down"]
    assert kept.new_because == "a fault of the run could not be taken back"
    journal.undone(number)
    journal.close()
    run()
    assert done[3:] == ["up", "release"]
    assert kept.new_because == ""


def test_what_happened_between_two_runs_is_not_the_second_ones(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    run(change=lambda stack: setattr(stack, "changed_since", "standby is not what the last run left"))
    assert done == ["up", "release"]
    run()
    assert done[2:] == ["down", "up", "release"]


def test_a_stack_that_does_not_come_up_is_taken_down(kept: KeptStack, tmp_path: Path, done: list[str]) -> None:
    stack = kept.for_plan(plan_of())
    assert isinstance(stack, Lasting)
    stack.fails, stack.different = "up", "it never was ready"
    with pytest.raises(StackError):
        kept.up(RunContext("r", tmp_path / "r", 0.0))
    kept.down()  # as the experiment does, whatever happened
    assert done == ["up", "release", "down"]
    assert left(tmp_path) == []


def test_a_stack_that_does_not_go_down_is_left_to_its_guard(
    kept: KeptStack, run: Callable[..., Any], tmp_path: Path
) -> None:
    def breaks(stack: Lasting) -> None:
        stack.fails, stack.different = "down", "primary is down"

    assert run(change=breaks) == ["down failed"]
    assert list((tmp_path / ".kept").iterdir())  # its logs say why


def test_a_stack_whose_guard_has_died_serves_nobody_else(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    run()
    assert kept.guarded()
    guard = kept._guard_of_it
    assert guard._process is not None
    os.kill(guard._process.pid, signal.SIGKILL)
    guard._process.wait()
    assert not kept.guarded()
    run()
    assert done == ["up", "release", "down", "up", "release"]


def test_ending_it_twice_or_before_it_began_does_nothing(kept: KeptStack, done: list[str]) -> None:
    assert kept.end() is None
    kept.for_plan(plan_of())
    assert kept.end() is None
    assert kept.down() is None
    assert done == []


def test_however_a_command_ends_its_stack_is_gone_and_what_is_not_gone_is_said(
    kept: KeptStack, run: Callable[..., Any], done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(change=lambda stack: setattr(stack, "fails", "down"))

    @ended(kept)
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["up", "release", "down"]
    assert capsys.readouterr().err == "not cleaned up yet: down failed\n"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_a_run_that_ends_by_a_defect_leaves_its_stack_to_nobody_else(
    kept: KeptStack, run: Callable[..., Any], done: list[str], error: BaseException
) -> None:
    @discarded_by_defects(kept)
    def broken() -> None:
        run()
        raise error

    with pytest.raises(type(error)):
        broken()
    assert done == ["up", "release", "down"]
    assert kept.new_because == f"a run on it ended by a {type(error).__name__}"
    run()
    assert done[3:] == ["up", "release"]


def test_a_run_that_could_not_be_leaves_its_stack_if_it_is_as_it_came_up(
    kept: KeptStack, run: Callable[..., Any], done: list[str]
) -> None:
    @discarded_by_defects(kept)
    def damaged() -> None:
        run()
        raise StackError("its records are damaged")

    with pytest.raises(StackError):
        damaged()
    run()
    assert done == ["up", "release", "serve", "release"]


def test_what_a_discarded_stack_left_is_said_at_the_end(kept: KeptStack, run: Callable[..., Any]) -> None:
    run(change=lambda stack: setattr(stack, "fails", "down"))
    kept.discard("a defect")
    assert kept.end() == ["down failed"]


def test_what_a_stack_left_that_had_to_make_room_is_said_at_the_end(kept: KeptStack, run: Callable[..., Any]) -> None:
    run(change=lambda stack: setattr(stack, "fails", "down"))
    run(plan_of(seed="8"))
    assert kept.end() == ["down failed"]
    assert kept.end() is None
