"""`exec`: commands of the user's break the target and take that back. See `harness.model.exec_fault`.

None of them holds up the run: `do` and `verify` are looked at from time to time. Only `undo` is waited for, since what
comes after it relies on it.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.faults.commands import Command, label_of
from harness.model.errors import HarnessError
from harness.model.exec_fault import ExecFault
from harness.record.clock import SystemClock
from harness.record.journal import Inverse
from harness.stack.owned import owned_processes, send_signal

__all__ = ["Exec", "undo_command"]

MARK = "RELIABILITY_HARNESS_EXEC"  # which fault's `do` a process is: it is ended before its `undo`


class Exec(ActiveFault):
    """The command `do`; its inverse is the command `undo`."""

    _doing: Command | None = None
    _looking: Command | None = None

    def prepare(self) -> Inverse:
        fault = self._fault
        for argv in (fault.do, fault.undo, fault.verify):
            if shutil.which(argv[0]) is None:
                raise CannotInject(f"{argv[0]}: no such program on the PATH")
        more = {"run_id": self.where.run_id, "mark": self.where.seed, "timeout_s": fault.timeout_s}
        return Inverse("command.undo", {"argv": list(fault.undo), **more})

    def apply(self) -> None:
        self._doing = self._start(self._fault.do)

    def proof(self) -> Proof | None:
        done = self._doing.ended() if self._doing else None
        if done is None:
            return None
        if done.status != 0:
            how = done.words if done.status is None else f"exit status {done.status}: {done.words}"
            return Proof(False, f"do: {how}")
        seen = self._look()
        return Proof(True, f"verify: {seen[1]}") if seen and seen[0] == 0 else None

    def after_inverse(self) -> None:
        for command in (self._doing, self._looking):
            if command is not None:
                command.kill("it was begun before the fault was taken back")
        self._looking = None

    def healed(self) -> bool:
        seen = self._look()
        return seen is not None and seen[0] == 1

    @property
    def _fault(self) -> ExecFault:
        assert isinstance(self.fault, ExecFault)
        return self.fault

    def _look(self) -> tuple[int | None, str] | None:
        """What `verify` says, once it has ended; begins it when it is not under way."""
        if self._looking is None:
            self._looking = self._start(self._fault.verify)
        ended = self._looking.ended()
        if ended is None:
            return None
        self._looking = None
        return ended.status, ended.words

    def _start(self, argv: Sequence[str]) -> Command:
        label = {**label_of(self.where.run_id), MARK: self.where.seed}
        return Command(argv, self._fault.timeout_s, SystemClock(), label)


def undo_command(args: Mapping[str, Any]) -> None:
    """End a `do` that still runs, then run `undo`. Raises HarnessError when that fails."""
    for process in owned_processes(args["run_id"], f"{MARK}={args['mark']}"):
        send_signal(process, signal.SIGKILL, args["run_id"])
    ended = Command(args["argv"], args["timeout_s"], SystemClock(), {}).wait()
    if ended.status != 0:
        how = ended.words if ended.status is None else f"exit status {ended.status}: {ended.words}"
        raise HarnessError(f"undo: {how}")
