"""Asks replicas whether they live, with a time limit, and kills those that hang: an exit is what supervisors see."""

from __future__ import annotations

import math
import signal
import xmlrpc.client
from dataclasses import dataclass, field

from harness.model.errors import BlastRadiusError
from harness.record.append import AppendLog
from harness.record.clock import Clock
from harness.stack.http_get import get_json
from harness.stack.owned import identify, send_signal
from harness.stack.supervision.config import GROUP
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.rpc import SupervisorRpc, SupervisorSilent

__all__ = ["Heartbeats", "watch_liveness"]


@dataclass
class Heartbeats:
    """Counts missed answers in a row of one process.

    One that never was ready is still loading, which may block it, and so is left alone: for ever, or for `loading_s`.
    """

    failures: int
    loading_s: float = math.inf
    _pid: int = 0
    _since_s: float = 0.0
    _was_healthy: bool = False
    _missed: int = field(default=0)

    def page(self, pid: int) -> str:
        """What to ask of that process: whether it has loaded, and from then on whether it lives."""
        return "health" if pid == self._pid and self._was_healthy else "ready"

    def saw(self, pid: int, healthy: bool, now_s: float) -> bool:
        """Take an answer down; True when that process has to go."""
        if pid != self._pid:
            self._pid, self._was_healthy, self._missed, self._since_s = pid, False, 0, now_s
        self._was_healthy = self._was_healthy or healthy
        if not self._was_healthy and now_s - self._since_s < self.loading_s:
            return False
        self._missed = 0 if healthy else self._missed + 1
        return self._missed > 0 and self._missed % self.failures == 0


def watch_liveness(program: str, plan: SupervisionPlan, rpc: SupervisorRpc, log: AppendLog, clock: Clock) -> None:
    """Look for ever. SIGKILL, since who hangs does not take SIGTERM either."""
    options = plan.options
    beats = Heartbeats(
        options.liveness_failures, math.inf if options.liveness_loading_s is None else options.liveness_loading_s
    )
    url = f"http://127.0.0.1:{plan.replicas[program]}"
    while True:
        begin_s = clock.now()
        pid = _pid_of(program, rpc)
        if pid is not None:
            answer = get_json(f"{url}/{beats.page(pid)}", clock=clock, total_s=options.liveness_timeout_s)
            if beats.saw(pid, answer is not None and answer.status < 400, clock.now()):
                row = {"at_monotonic_s": clock.now(), "program": program, "state": "UNHEALTHY", "pid": pid}
                log.write({**row, "missed": options.liveness_failures, "killed": _kill(pid, program, plan, rpc)})
        clock.sleep(options.liveness_period_s - (clock.now() - begin_s))


def _pid_of(program: str, rpc: SupervisorRpc) -> int | None:
    try:
        return rpc.state(f"{GROUP}:{program}").pid
    except (SupervisorSilent, xmlrpc.client.Fault):
        return None


def _kill(pid: int, program: str, plan: SupervisionPlan, rpc: SupervisorRpc) -> bool:
    process = identify(pid)
    if process is None or _pid_of(program, rpc) != pid:
        return False
    try:
        return send_signal(process, signal.SIGKILL, plan.run_id)
    except (BlastRadiusError, PermissionError):
        return False
