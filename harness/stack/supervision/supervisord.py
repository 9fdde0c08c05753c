"""One supervisord of one run: started in its own session, asked over its socket, and always ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from harness.model.errors import StackError
from harness.record.append import read_lines
from harness.record.clock import Clock
from harness.stack.base import RunContext
from harness.stack.owned import RUN_LABEL, kill_owned, owned_processes, process_state, send_signal
from harness.stack.supervision.config import GROUP, Program, configuration
from harness.stack.supervision.log import exit_reports, newest_end
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.recovery_script import SCRIPTS
from harness.stack.supervision.rpc import NOT_RUNNING, ProgramState, SupervisorRpc, SupervisorSilent

__all__ = ["Supervisord"]

SOCKET_PATH_BYTES_MAX = 100  # the kernel allows 107
SHUTDOWN_S = 2.0
STARTABLE = frozenset({"FATAL", "STOPPED", "EXITED"})
BY_ORDER = frozenset({"STARTING", "RUNNING", "STOPPING", "STOPPED"})


class Supervisord:
    """Owns everything between `start` and `end`. `folder` takes configuration and logs."""

    def __init__(self, run_id: str, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.supervision = folder / "supervision.jsonl"
        self._run_id = run_id
        self._clock = clock
        self._sockets = _private_folder(run_id)
        self._process: subprocess.Popen[bytes] | None = None
        self.rpc = SupervisorRpc(self._sockets / "s")

    def start(
        self, programs: Sequence[Program], run: RunContext, *, replicas: Mapping[str, int], stop_wait_s: int
    ) -> None:
        """Returns at once; the programs come up in parallel. `replicas`: the port of each."""
        socket, told = self._sockets / "s", self.folder / "supervision.json"
        plan = SupervisionPlan(
            run_id=self._run_id,
            seed=run.seed,
            folder=str(self.folder),
            socket=str(socket),
            supervisor=run.target.supervised_by,
            options=run.target.supervision,
            replicas=dict(replicas),
            others=tuple(program.name for program in programs if program.name not in replicas),
            commands={program.name: program.argv for program in programs if program.name in replicas},
        )
        plan.write(told)
        arguments = ("--plan", str(told), "--log", str(self.supervision))
        listener = Program(
            "restart_budget", (sys.executable, "-m", "harness.stack.supervision.restart_budget", *arguments)
        )
        if plan.supervisor in SCRIPTS:
            script = (sys.executable, "-m", "harness.stack.supervision.recovery_script", *arguments)
            programs = [*programs, Program("recovery", script, "kept")]
        text = configuration(programs, listener, folder=self.folder, socket=socket, stop_wait_s=stop_wait_s)
        config = self.folder / "supervisord.conf"
        config.write_text(text, encoding="utf-8")
        with (self.folder / "supervisord.err.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # its log goes to a file as well
                stderr=errors,
                env={**os.environ, RUN_LABEL: self._run_id},
                start_new_session=True,  # a Ctrl-C at the terminal must not reach the target
            )

    def died(self) -> str | None:
        """Why supervisord itself is not running; None while it is."""
        if self._process is None or self._process.poll() is None:
            return None
        said = last_line(self.folder / "supervisord.err.log") or last_line(self.folder / "supervisord.log")
        return f"supervisord ended with status {self._process.returncode}: {said}"

    def state(self, program: str) -> ProgramState:
        """Raises SupervisorSilent."""
        return self.rpc.state(f"{GROUP}:{program}")

    def exit_reports(self) -> dict[int, tuple[str, str]]:
        """pid -> (program, how it ended), as supervisord logged it."""
        return exit_reports(self._log())

    def newest_end(self, program: str) -> str | None:
        """How its newest process ended; None while supervisord has not logged it."""
        return newest_end(self._log(), program)

    def disturbed(self, programs: Collection[str]) -> str | None:
        """One of the programs that was not merely started and stopped by order, if there is one: it ended by itself,
        or something was decided about it."""
        try:
            rows = [row for _, row in read_lines(self.supervision) if isinstance(row, dict)]
        except OSError:
            return None
        told = ((row.get("program"), row.get("state")) for row in rows)
        return next((name for name, state in told if name in programs and state not in BY_ORDER), None)

    def _log(self) -> str:
        try:
            return (self.folder / "supervisord.log").read_text(errors="replace")
        except OSError:
            return ""

    def last_words(self, program: str) -> str:
        """The last line that a program wrote, stderr first; "" when it wrote nothing."""
        return last_line(self.folder / f"{program}.err.log") or last_line(self.folder / f"{program}.out.log")

    def restart(self, program: str, stop_within_s: float) -> None:
        """Stop it if it runs, then start it. Raises StackError when supervisord does not follow."""
        try:
            try:
                self.rpc.call("stopProcess", f"{GROUP}:{program}", timeout_s=stop_within_s)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != NOT_RUNNING:
                    raise
            self.start_if_down(program)
        except (SupervisorSilent, xmlrpc.client.Fault) as error:
            raise StackError(f"{program} was not restarted: {error}") from error

    def start_if_down(self, program: str) -> None:
        """Start it if it has been given up or stopped. Raises StackError when supervisord does not follow."""
        try:
            try:
                if self.state(program).state in STARTABLE:
                    self.rpc.call("startProcess", f"{GROUP}:{program}", False)
            except xmlrpc.client.Fault as fault:
                if self.state(program).state in STARTABLE:  # else its restart was faster than we
                    raise StackError(f"{program} was not started: {fault.faultString}") from fault
        except SupervisorSilent as error:
            raise StackError(f"{program} was not started: {error}") from error

    def end(self) -> None:
        """Nothing that carries the run's label lives after this; takes 2 s and a bit at most. Safe to call twice."""
        self._resume_stopped()
        if self._process is not None and self._process.poll() is None:
            self._ask_to_shut_down()
        kill_owned(self._run_id)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        wait_until(lambda: not any(owned_processes(self._run_id)), 1.0, self._clock)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _ask_to_shut_down(self) -> None:
        assert self._process is not None
        try:
            self.rpc.call("shutdown", timeout_s=0.5)  # a signal would be noticed up to a second later
        except (SupervisorSilent, xmlrpc.client.Fault):
            self._process.terminate()
        wait_until(self._has_ended, SHUTDOWN_S, self._clock)  # what is left is killed

    def _has_ended(self) -> bool:
        """It looks after the dead once a second, or when somebody asks it something."""
        assert self._process is not None
        if self._process.poll() is None:
            with contextlib.suppress(SupervisorSilent, xmlrpc.client.Fault):
                self.rpc.call("getState", timeout_s=0.1)
        return self._process.poll() is not None

    def _resume_stopped(self) -> None:
        """A stopped process would not see SIGTERM."""
        for process in owned_processes(self._run_id):
            if process_state(process) in ("T", "t"):
                send_signal(process, signal.SIGCONT, self._run_id)


def last_line(path: Path, tail_bytes: int = 4096) -> str:
    """The last line of a log that is not empty."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - tail_bytes))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def wait_until(condition: Callable[[], bool], within_s: float, clock: Clock) -> bool:
    """Look every 20 ms; False when it did not come true in time."""
    deadline = clock.now() + within_s
    while not condition():
        if clock.now() >= deadline:
            return False
        clock.sleep(0.02)
    return True


def _private_folder(run_id: str) -> Path:
    """For the socket: mode 0700, and short, since the path of a unix socket holds 107 bytes at most."""
    prefix = f"harness-{run_id[:24]}-"
    folder = tempfile.mkdtemp(prefix=prefix)
    if len(os.fsencode(folder)) > SOCKET_PATH_BYTES_MAX:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
    return Path(folder)
