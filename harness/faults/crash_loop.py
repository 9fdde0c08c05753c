"""A server that is killed again whenever its supervisor has started it."""

from __future__ import annotations

from harness.faults.base import Proof
from harness.faults.process import ProcessFault
from harness.model.process_faults import ProcessCrashLoop
from harness.stack.base import TargetProcess

__all__ = ["CrashLoop"]


class CrashLoop(ProcessFault):
    """SIGKILL, again and again."""

    signal_name = "SIGKILL"
    _killed: tuple[TargetProcess, ...] = ()

    def apply(self) -> None:
        super().apply()
        self._killed = (self.victim,)

    def keep(self) -> None:
        assert isinstance(self.fault, ProcessCrashLoop)
        now = self.stack.process(self.fault.on)
        usage = None if now is None or now in self._killed else self.stack.service.usage(now)
        if now is None or usage is None or usage.age_s < self.fault.up_s:
            return
        if self.stack.signal(now, self.signal_name):
            self._killed = (*self._killed, now)

    def proof(self) -> Proof | None:
        assert isinstance(self.fault, ProcessCrashLoop)
        reports = {one.pid: self.stack.exit_report(one) for one in self._killed if self.stack.state(one) == "gone"}
        ended = [pid for pid, report in reports.items() if report is not None and "SIGKILL" in report]
        if len(ended) < self.fault.kills_min:
            return None
        pids = ", ".join(str(pid) for pid in ended)
        return Proof(
            True, f"processes {pids} are gone, one after the other; their supervisor says: {reports[ended[-1]]}"
        )

    def after_inverse(self) -> None:
        self.stack.ensure_running(self.fault.on)

    def healed(self) -> bool:
        now = self.stack.process(self.fault.on)
        return now is not None and now not in self._killed
