"""Faults of the server process: killed, stopped cleanly, or paused so that it accepts and never answers."""

from __future__ import annotations

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.process_faults import ProcessKill, Victim
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess

__all__ = ["KillProcess", "PauseProcess", "ProcessFault", "StopProcess"]


class ProcessFault(ActiveFault):
    """A signal to the replica's server process, or something else that ends it."""

    signal_name: str
    victim: TargetProcess

    def prepare(self) -> Inverse:
        found = self.stack.process(self.fault.on)
        if found is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.victim = found
        return self._inverse()

    def _inverse(self) -> Inverse:
        return Inverse("nothing", {"because": "a process that has ended is its supervisor's to restart"})

    def apply(self) -> None:
        try:
            hit = self.stack.signal(self.victim, self.signal_name)
        except StackError as error:  # as when the end of a pause cannot be armed
            raise CannotInject(str(error)) from error
        if not hit:
            raise CannotInject(f"process {self.victim.pid} of {self.fault.on} ended before it was signalled")

    def healed(self) -> bool:
        now = self.stack.process(self.fault.on)
        return now is not None and now != self.victim


class KillProcess(ProcessFault):
    """SIGKILL, to the server or to a relative of it."""

    signal_name = "SIGKILL"
    struck: TargetProcess

    def prepare(self) -> Inverse:
        inverse, of = super().prepare(), self._of
        struck = self.victim if of == "server" else self.stack.related(self.victim, of)
        if struck is None:
            raise CannotInject(f"the server of {self.fault.on}, process {self.victim.pid}, has no {of} process")
        self.struck = struck
        return inverse

    def apply(self) -> None:
        if not self.stack.signal(self.struck, self.signal_name):
            raise CannotInject(f"process {self.struck.pid} of {self.fault.on} ended before it was signalled")

    def proof(self) -> Proof | None:
        report, gone = self.stack.exit_report(self.victim), self.stack.state(self.victim) == "gone"
        if self._of == "engine":
            if self.stack.state(self.struck) != "gone":
                return None
            server = f"so is the server, as its supervisor says: {report}" if gone else "the server lives"
            which = f"process {self.struck.pid}, the engine of the server {self.victim.pid},"
            return None if gone and report is None else Proof(True, f"{which} is gone; {server}")
        if report is None or not gone:
            return None
        first = f" with its container's first process {self.struck.pid}" if self._of == "init" else ""
        return Proof("SIGKILL" in report, f"process {self.victim.pid} is gone{first}; its supervisor says: {report}")

    def healed(self) -> bool:
        """Another server, or the same one with another engine."""
        if self._of != "engine":
            return super().healed()
        now = self.stack.process(self.fault.on)
        engine = None if now is None else self.stack.related(now, "engine")
        return engine is not None and engine != self.struck

    @property
    def _of(self) -> Victim:
        return self.fault.of if isinstance(self.fault, ProcessKill) else "server"


class StopProcess(ProcessFault):
    """SIGTERM, a clean exit."""

    signal_name = "SIGTERM"

    def proof(self) -> Proof | None:
        report = self.stack.exit_report(self.victim)
        if report is None or self.stack.state(self.victim) != "gone":
            return None
        return Proof("SIGKILL" not in report, f"process {self.victim.pid} is gone; its supervisor says: {report}")


class PauseProcess(ProcessFault):
    """SIGSTOP, later SIGCONT."""

    signal_name = "SIGSTOP"

    def _inverse(self) -> Inverse:
        return self.stack.pause_inverse(self.victim)

    def proof(self) -> Proof | None:
        if self.stack.state(self.victim) != "stopped":
            return None
        return Proof(True, f"process {self.victim.pid} is in state T (stopped)")

    def lost(self) -> str | None:
        if self.stack.state(self.victim) != "running":
            return None  # that it was killed while it hung is the target's answer, not ours
        return f"process {self.victim.pid} was continued by somebody else"

    def after_inverse(self) -> None:
        self.stack.signal(self.victim, "SIGCONT")  # a second one does no harm

    def healed(self) -> bool:
        return self.stack.state(self.victim) != "stopped"
