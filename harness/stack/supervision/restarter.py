"""A restart: wait, clear away what the dead server left, wait for its port, have supervisord start it."""

from __future__ import annotations

import threading
import xmlrpc.client
from collections.abc import Callable, Mapping

from harness.record.append import AppendLog
from harness.record.clock import Clock
from harness.stack.supervision.config import GROUP
from harness.stack.supervision.leftovers import Leftovers, wait_for_port
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.restart_policy import Decision
from harness.stack.supervision.rpc import SupervisorRpc, SupervisorSilent

__all__ = ["Restarter", "in_background"]

DOWN = frozenset({"EXITED", "FATAL", "STOPPED"})
Run = Callable[[Callable[[], None]], None]


def in_background(work: Callable[[], None]) -> None:
    """Run it in a thread of its own: a wait for one program must not delay another's restart."""
    threading.Thread(target=work, daemon=True).start()


class Restarter:
    """Every step is written down as it is taken. `run` is where the waiting happens."""

    def __init__(self, plan: SupervisionPlan, rpc: SupervisorRpc, log: AppendLog, clock: Clock) -> None:
        self._plan = plan
        self._rpc = rpc
        self._log = log
        self._clock = clock
        self.leftovers = Leftovers(plan.run_id, clock)
        self.run: Run = in_background

    def order(self, program: str, decision: Decision) -> None:
        """Carry out a decision to restart."""
        if decision.delay_s > 0:
            self._say(program, "BACKING_OFF", {"delay_s": round(decision.delay_s, 3), "restarts": decision.restarts})
        self.run(lambda: self.restart(program, decision))

    def restart(self, program: str, decision: Decision) -> None:
        """Do it now. Harmless when somebody else has started the program meanwhile."""
        self._clock.sleep(decision.delay_s)
        if not self._is_down(program):
            return
        options = self._plan.options_of(program)
        if options.clean_orphans:
            for pid in self.leftovers.kill_orphans(program, lambda: self._is_down(program)):
                self._say(program, "CLEANED_UP", {"what": f"orphan process {pid}"})
        if options.clean_files:
            for path in self.leftovers.remove_files(program):
                self._say(program, "CLEANED_UP", {"what": path})
        port = self._plan.replicas.get(program)
        if port is not None and options.port_wait_s > 0 and not wait_for_port(port, options.port_wait_s, self._clock):
            self._say(program, "PORT_BUSY", {"port": port, "waited_s": options.port_wait_s})
        self._say(program, "RESTARTING", {"restarts": decision.restarts, "max_restarts": options.max_restarts})
        try:
            self._rpc.call("startProcess", f"{GROUP}:{program}", False)
        except (SupervisorSilent, xmlrpc.client.Fault) as error:
            if self._is_down(program):
                self._say(program, "NOT_RESTARTED", {"why": f"supervisord did not start it: {error}"})

    def _is_down(self, program: str) -> bool:
        try:
            return self._rpc.state(f"{GROUP}:{program}").state in DOWN
        except (SupervisorSilent, xmlrpc.client.Fault):
            return False

    def _say(self, program: str, state: str, fields: Mapping[str, object]) -> None:
        self._log.write({"at_monotonic_s": self._clock.now(), "program": program, "state": state, **fields})
