"""A stack that is kept up for runs which follow one another on equal targets, and who answers for it meanwhile.

Each run finds it as it came up, or finds a new one: what a run has left behind is looked for when it ends. The stack is
registered and guarded as if it were a run, from before it is started until it is gone.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.guard import ProcessGuard, own_run
from harness.model.plan import Plan
from harness.record.journal import pending
from harness.stack.base import Home, Reusable, RunContext, Stack
from harness.stack.owned import owned_processes
from harness.store.folder import RunFolder
from harness.store.registry import Registry

__all__ = ["KeptStack", "OwnStack"]

HOMES = ".kept"  # beside the runs' folders


class OwnStack:
    """A stack that serves one run alone."""

    runs_before = 0

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def up(self, run: RunContext) -> None:
        """Start it."""
        self._stack.up(run)

    def down(self) -> None:
        """Stop it."""
        self._stack.down()

    def guarded(self) -> bool:
        """By the run's own guard, who is asked anyway."""
        return True


class KeptStack:
    """`make_stack` gives a new one with nothing started. `where`: beside the runs' folders, and on this machine.

    Call `end` when no further run is to come; until then the stack is up, and its guard watches.
    """

    def __init__(
        self, make_stack: Callable[[], Stack], where: tuple[Path, Registry], environ: Mapping[str, str]
    ) -> None:
        self.runs_before = 0
        self.new_because = ""  # why the last run had to have a new one, in words
        self._make_stack = make_stack
        self._out, self._registry = where
        self._environ = environ
        self._stack: Stack | None = None
        self._key: object = None
        self._home: Home | None = None
        self._is_up = False
        self._guard: ProcessGuard | None = None
        self._journal: Path | None = None  # of the run that it serves
        self._left: list[str] = []  # of stacks before this one

    def for_plan(self, plan: Plan) -> Stack:
        """The stack that is up, if it serves a target like the plan's and its guard lives; else a new one."""
        key = (plan.scenario.target.in_effect, plan.seed, tuple(sorted(plan.environment.items())))
        if self._is_up and key != self._key:
            self._left += self._end("the next run wants another target") or []
        elif self._is_up and (why := self._unusable()):
            self._left += self._end(why) or []
        self._key = key
        if self._stack is None:
            name = f"kept-{secrets.token_hex(4)}"
            self._stack, self._home = self._make_stack(), Home(name, (self._out / HOMES / name).resolve())
        return self._stack

    @property
    def home(self) -> Home:
        """Whose the stack is that `for_plan` gave."""
        assert self._home is not None, "for_plan before home"
        return self._home

    def up(self, run: RunContext) -> None:
        """Start it, or have it serve this run too. Raises StackError."""
        assert self._stack is not None, "for_plan before up"
        self._journal = RunFolder(run.folder).undo
        run = replace(run, home=self.home)
        if self._is_up and isinstance(self._stack, Reusable):
            self._stack.serve(run)
            return
        self._register()
        self._stack.up(run)
        self._guard_of_it.confirm()

    def down(self) -> list[str] | None:
        """Give back what the run had; what is not as it came up is not kept. Returns what could not be cleaned up."""
        if self._stack is None or not self._is_up:
            return None
        try:
            different = self._different()
        except Exception as error:  # noqa: BLE001  whatever it is: of which nobody knows how it was left is not kept
            different = str(error) or type(error).__name__
        except BaseException:  # as a time-out of pytest
            self._end("it was not looked at to the end")
            raise
        if different is not None:
            return self._end(different)
        self.runs_before, self.new_because = self.runs_before + 1, ""
        return None

    def discard(self, because: str) -> None:
        """Nobody can say how it was left, so it serves no other run. What is left of it, `end` says."""
        self._left += self._end(because) or []

    def guarded(self) -> bool:
        """Whether somebody would end it if this process died now."""
        return not self._is_up or self._guard_of_it.alive()

    def end(self) -> list[str] | None:
        """Stop it. Returns what is left of any, in words, which the guards go on to clear. Safe to call twice."""
        left, self._left = self._left, []
        return left + (self._end("") or []) or None

    def _unusable(self) -> str | None:
        """Why no further run can have what is up; None: it can."""
        assert self._stack is not None, "nothing is up"
        if not self._guard_of_it.alive():
            return "its guard had died"
        return self._stack.changed() if isinstance(self._stack, Reusable) else None

    def _different(self) -> str | None:
        """What the run has left behind; None: nothing."""
        assert self._stack is not None, "nothing is up"
        if not isinstance(self._stack, Reusable):
            return "it serves one run"
        different = self._stack.release()
        if self._journal is not None and pending(self._journal):
            return "a fault of the run could not be taken back"
        return different

    def _end(self, because: str) -> list[str] | None:
        self.new_because, self.runs_before = because, 0
        stack, home, guard, was_up = self._stack, self._home, self._guard, self._is_up
        self._stack, self._home, self._guard, self._is_up = None, None, None, False
        if stack is None or home is None or not was_up:
            return None
        problems = []
        try:
            stack.down()
        except Exception as error:  # noqa: BLE001  what it leaves is looked for below, and its guard goes on
            problems.append(str(error) or type(error).__name__)
        if any(owned_processes(home.run_id)):
            problems.append(f"processes of {home.run_id} are still there")
        if problems and guard is not None:
            guard.hand_over()
            return problems
        self._registry.remove(home.run_id)
        if guard is not None:
            guard.disarm()
        shutil.rmtree(home.folder, ignore_errors=True)
        with suppress(OSError):  # other homes may be in it
            home.folder.parent.rmdir()
        return None

    @property
    def _guard_of_it(self) -> ProcessGuard:
        assert self._guard is not None, "the stack is not up"
        return self._guard

    def _register(self) -> None:
        """And guard it, before anything is started."""
        home, self._is_up = self.home, True
        home.folder.mkdir(parents=True, exist_ok=True)
        live = own_run(home.run_id, home.folder)
        self._registry.add(live)
        self._guard = ProcessGuard(live, self._registry, self._environ)
        self._guard.start()
