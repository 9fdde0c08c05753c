"""`python -m harness.stack.supervision.recovery_script`: recovery scripts as operations manuals have them, run by cron.

They are kept with their defects on purpose, so that a scenario can show what they miss.

`cron-script`, of the All-in-One service: `curl -f /health` without a time limit, so a check of a hung server never
returns, and cron begins another every period; the first failure restarts; SIGTERM, a fixed sleep and a start, whether
or not the old server has gone; the start truncates the log that would say why it died; nobody looks whether the new one
answers.

`retry-script`, of the Chord service: asks the supervisor whether the process is RUNNING, not whether it answers;
restarts at most three times with a fixed sleep between; after the last it says that it failed, without looking.

Three things differ from the originals. `pkill -f "python.*app.py"` would hit whatever looks alike on the host: here the
signal goes to the replica's own process, which carries this run's label. `nohup` is supervisord's startProcess, so that
the run still knows which process serves. A check is a thread, not a process.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import threading
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.model.errors import BlastRadiusError
from harness.record.append import AppendLog
from harness.record.clock import Clock, SystemClock
from harness.stack.owned import identify, send_signal
from harness.stack.supervision.config import GROUP
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.rpc import SupervisorRpc, SupervisorSilent

__all__ = ["SCRIPTS", "Host", "cron_pass", "curl_f", "retry_pass"]

SCRIPTS = frozenset({"cron-script", "retry-script"})


def curl_f(port: int) -> bool:
    """`curl -f http://127.0.0.1:PORT/health`: whether the status is below 400. Waits for ever, as curl does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=None)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Host:
    """What a script can do to one replica."""

    def __init__(self, program: str, plan: SupervisionPlan, log: AppendLog, clock: Clock) -> None:
        self.program = program
        self.port = plan.replicas[program]
        self.options = plan.options
        self.clock = clock
        self._plan = plan
        self._log = log
        self._rpc = SupervisorRpc(Path(plan.socket))
        self._checking: set[int] = set()  # threads

    def healthy(self) -> bool:
        """The health check of cron-script."""
        self._checking.add(threading.get_ident())
        try:
            return curl_f(self.port)
        finally:
            self._checking.discard(threading.get_ident())

    def checks_under_way(self) -> int:
        """How many checks wait for an answer."""
        return len(self._checking)

    def running(self) -> bool:
        """`supervisorctl status | grep RUNNING`."""
        try:
            return self._rpc.state(f"{GROUP}:{self.program}").state == "RUNNING"
        except (SupervisorSilent, xmlrpc.client.Fault):
            return False

    def terminate(self) -> None:
        """SIGTERM to the replica's own process, if there is one."""
        with suppress(SupervisorSilent, xmlrpc.client.Fault, BlastRadiusError, PermissionError):
            pid = self._rpc.state(f"{GROUP}:{self.program}").pid
            process = identify(pid) if pid else None
            if process is not None:
                send_signal(process, signal.SIGTERM, self._plan.run_id)

    def truncate_log(self) -> None:
        """What `> app.log` does to the last words of the server before."""
        lost = 0
        for kind in ("out", "err"):
            path = Path(self._plan.folder) / f"{self.program}.{kind}.log"
            with suppress(OSError):
                lost += path.stat().st_size
                os.truncate(path, 0)
        self.say("LOG_TRUNCATED", {"bytes": lost})

    def start(self) -> None:
        """Start the server; while the old one is still there it is a second one, which finds the port taken."""
        try:
            self._rpc.call("startProcess", f"{GROUP}:{self.program}", False)
        except SupervisorSilent:
            return
        except xmlrpc.client.Fault:
            with (Path(self._plan.folder) / f"{self.program}.err.log").open("ab") as log:
                done = subprocess.run(
                    self._plan.commands[self.program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
                )
            self.say("SECOND_INSTANCE", {"how": f"exit status {done.returncode}"})

    def say(self, state: str, fields: Mapping[str, object]) -> None:
        """Write a step down."""
        self._log.write({"at_monotonic_s": self.clock.now(), "program": self.program, "state": state, **fields})


def cron_pass(host: Host) -> None:
    """One run of cron-script."""
    if host.healthy():
        return
    host.say("RESTARTING", {"why": "Service unreachable, restarting..."})
    host.terminate()
    host.clock.sleep(host.options.pause_s)
    host.truncate_log()
    host.start()  # and says "Service restarted" whatever came of it


def retry_pass(host: Host) -> bool:
    """One run of retry-script; what it says of itself."""
    for attempt in range(1, host.options.retries + 1):
        if host.running():
            return True
        host.say("RESTARTING", {"restarts": attempt, "max_restarts": host.options.retries})
        host.start()
        host.clock.sleep(host.options.retry_delay_s)
    host.say("RECOVERY_FAILED", {"attempts": host.options.retries, "but_running": host.running()})
    return False


class Cron:
    """Begins a pass each period, whether or not the ones before have ended."""

    def __init__(self, host: Host, work: Callable[[Host], object]) -> None:
        self._host = host
        self._work = work

    def run(self) -> None:
        """For ever, as cron does."""
        while True:
            self._host.clock.sleep(self._host.options.period_s)
            self.begin()

    def begin(self) -> None:
        """One more pass."""
        if hanging := self._host.checks_under_way():
            self._host.say("CHECK_HANGS", {"checks": hanging})
        threading.Thread(target=self._work, args=(self._host,), daemon=True).start()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.stack.supervision.recovery_script")
    parser.add_argument("--plan", type=Path, required=True, help="a SupervisionPlan as JSON")
    parser.add_argument("--log", type=Path, required=True, help="where to append what is done")
    arguments = parser.parse_args(argv)
    plan, clock = SupervisionPlan.read(arguments.plan), SystemClock()
    log = AppendLog(arguments.log)
    work = cron_pass if plan.supervisor == "cron-script" else retry_pass
    crons = [Cron(Host(name, plan, log, clock), work) for name in plan.replicas]
    threads = [threading.Thread(target=cron.run, daemon=True) for cron in crons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
