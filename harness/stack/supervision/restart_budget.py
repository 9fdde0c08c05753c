"""`python -m harness.stack.supervision.restart_budget`: supervisord's event listener restarts crashes, in a budget.

supervisord alone restarts for ever what dies after its first second, at once, whatever a dead server left behind. This
program hears of every exit, decides (restart_policy.py), restarts (restarter.py), and writes every change of state and
every decision to a file, which is how the run learns when processes died and came back and why. Where a scenario has
chosen another supervisor it only writes.

It has two more duties, both because supervisord looks at its children only when something wakes it, else once a second:
an answered event wakes it, so an exit is followed by the restart at once; and a byte on our stderr every 0.1 s bounds
the time until it sees an exit whose closed pipes it noticed a moment too early.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import traceback
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from harness.record.append import AppendLog, read_lines
from harness.record.clock import Clock, SystemClock
from harness.stack.supervision.config import GROUP
from harness.stack.supervision.liveness import watch_liveness
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.restart_policy import Decision, Exit, RestartPolicy
from harness.stack.supervision.restarter import Restarter, in_background
from harness.stack.supervision.rpc import SupervisorRpc, SupervisorSilent

__all__ = ["Change", "Guard", "listen", "parse_change", "parse_tokens"]

READY = b"READY\n"
OK = b"RESULT 2\nOK"
WAKE_EVERY_S = 0.1
LOOK_EVERY_S = 2.0  # at what a program's processes hold


@dataclass(frozen=True)
class Change:
    """A program's change of state as supervisord announced it."""

    at_monotonic_s: float
    group: str
    program: str
    state: str
    came_from: str
    pid: int | None
    expected: bool | None  # of an exit only


def parse_tokens(line: str) -> dict[str, str]:
    """`a:1 b:2` as Supervisor writes headers and payloads."""
    return {key: value for key, _, value in (token.partition(":") for token in line.split())}


def parse_change(event: str, payload: str, at_s: float) -> Change | None:
    """None: not a change of a process's state."""
    if not event.startswith("PROCESS_STATE_"):
        return None
    tokens = parse_tokens(payload)
    return Change(
        at_monotonic_s=at_s,
        group=tokens.get("groupname", ""),
        program=tokens.get("processname", ""),
        state=event.removeprefix("PROCESS_STATE_"),
        came_from=tokens.get("from_state", ""),
        pid=int(tokens["pid"]) if tokens.get("pid", "0") != "0" else None,
        expected=tokens["expected"] == "1" if "expected" in tokens else None,
    )


def listen(stdin: BinaryIO, stdout: BinaryIO, changes: queue.SimpleQueue[Change | None], clock: Clock) -> None:
    """Speak the listener protocol until supervisord closes stdin. Each event is acknowledged before it is acted upon:
    supervisord waits for the acknowledgement, and acting means asking supervisord."""
    while True:
        stdout.write(READY)
        stdout.flush()
        header = parse_tokens(stdin.readline().decode())
        if "len" not in header:
            changes.put(None)
            return
        at_s = clock.now()
        payload = stdin.read(int(header["len"])).decode(errors="replace")
        stdout.write(OK)
        stdout.flush()
        change = parse_change(header.get("eventname", ""), payload, at_s)
        if change is not None:
            changes.put(change)


class Guard:
    """Writes changes down, and has restarted what the budget lets it."""

    def __init__(self, plan: SupervisionPlan, restarter: Restarter, rpc: SupervisorRpc, log: AppendLog) -> None:
        self._plan = plan
        self._restarter = restarter
        self._rpc = rpc
        self._log = log
        self._began: dict[str, float] = {}
        self._policies = {
            name: RestartPolicy(plan.options_of(name), plan.seed) for name in (*plan.replicas, *plan.others)
        }

    def work(self, changes: queue.SimpleQueue[Change | None]) -> None:
        """Handle changes until None comes."""
        while (change := changes.get()) is not None:
            self.handle(change)

    def handle(self, change: Change) -> None:
        """Write it down, and decide when it is an exit that nobody asked for."""
        pid = change.pid if change.pid is not None or change.state != "STARTING" else self._pid(change)
        self._write(change, change.state, {"came_from": change.came_from, "pid": pid, "expected": change.expected})
        if change.group != GROUP or change.program not in self._policies:
            return
        if change.state == "STARTING":
            self._began[change.program] = change.at_monotonic_s
        elif change.state == "EXITED" and self._plan.restarted_by_budget(change.program):
            self._decide(change)
        elif change.state == "EXITED" and (why := self._left_down(change)):
            self._write(change, "NOT_RESTARTED", {"why": why})

    def look(self) -> None:
        """Take down what the replicas' processes hold, for the time when they are dead."""
        for name in self._plan.replicas:
            try:
                pid = self._rpc.state(f"{GROUP}:{name}").pid
            except (SupervisorSilent, xmlrpc.client.Fault):
                continue
            if pid is not None:
                self._restarter.leftovers.look(name, pid)

    def catch_up(self) -> None:
        """Restart what a listener that has died was about to restart; what it had given up stays down."""
        last = {row["program"]: row["state"] for _, row in read_lines(self._log.path) if row and "program" in row}
        for name in self._policies:
            try:
                down = self._rpc.state(f"{GROUP}:{name}").state == "EXITED"
            except (SupervisorSilent, xmlrpc.client.Fault):
                continue
            if down and self._plan.restarted_by_budget(name) and last.get(name) not in ("GIVEN_UP", "NOT_RESTARTED"):
                self._restarter.order(name, Decision("restart", restarts=1))

    def _decide(self, change: Change) -> None:
        status = self._exit_status(change)
        began_s = self._began.pop(change.program, None)
        ran_s = None if began_s is None else change.at_monotonic_s - began_s
        decision = self._policies[change.program].exited(Exit(change.program, change.at_monotonic_s, status, ran_s))
        if decision.action == "restart":
            self._restarter.order(change.program, decision)
        elif decision.action == "give_up":
            limits = {"restarts": decision.restarts, "per_s": self._plan.options_of(change.program).per_s}
            self._write(change, "GIVEN_UP", limits)
        else:
            self._write(change, "NOT_RESTARTED", {"why": f"exit status {status} is called a normal exit"})

    def _left_down(self, change: Change) -> str:
        """Why supervisord does not restart it, in words; empty when it does."""
        if self._plan.supervisor == "never":
            return "nobody restarts it"
        if self._plan.supervisor == "unexpected" and change.expected:
            return f"exit status {self._exit_status(change)} is called a normal exit"
        return ""

    def _write(self, change: Change, state: str, fields: Mapping[str, object]) -> None:
        row = {"at_monotonic_s": change.at_monotonic_s, "program": change.program, "state": state}
        self._log.write({**row, **fields})

    def _exit_status(self, change: Change) -> int | None:
        try:
            return self._rpc.state(f"{change.group}:{change.program}").exit_status
        except (SupervisorSilent, xmlrpc.client.Fault):
            return None

    def _pid(self, change: Change) -> int | None:
        """The announcement of a start comes before the fork, so it has no pid; by now there is one."""
        try:
            return self._rpc.state(f"{change.group}:{change.program}").pid
        except (SupervisorSilent, xmlrpc.client.Fault):
            return None


def wake(stderr_fd: int, clock: Clock) -> None:
    """Let supervisord look at its children; it reads and drops the bytes. Returns when it has gone."""
    try:
        while True:
            os.write(stderr_fd, b".")
            clock.sleep(WAKE_EVERY_S)
    except OSError:
        return


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.stack.supervision.restart_budget")
    parser.add_argument("--plan", type=Path, required=True, help="a SupervisionPlan as JSON")
    parser.add_argument("--log", type=Path, required=True, help="where to append changes of state and decisions")
    arguments = parser.parse_args(argv)
    plan, clock = SupervisionPlan.read(arguments.plan), SystemClock()
    again = arguments.log.exists()
    log, rpc = AppendLog(arguments.log), SupervisorRpc(Path(plan.socket))
    changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
    restarter = Restarter(plan, rpc, log, clock)
    restarter.run = lambda work: in_background(partial(_guarded, work, log))
    guard = Guard(plan, restarter, rpc, log)
    in_background(lambda: wake(sys.stderr.fileno(), clock))
    in_background(lambda: _guarded(lambda: guard.work(changes), log))
    if again:
        in_background(lambda: _guarded(guard.catch_up, log))
    if plan.supervisor == "budget":
        _watch_replicas(plan, guard, (rpc, log, clock))
    listen(sys.stdin.buffer, sys.stdout.buffer, changes, clock)


def _watch_replicas(plan: SupervisionPlan, guard: Guard, tools: tuple[SupervisorRpc, AppendLog, Clock]) -> None:
    rpc, log, clock = tools
    if plan.options.clean_files:
        in_background(lambda: _guarded(lambda: _look_for_ever(guard, clock), log))
    if plan.options.liveness_period_s > 0:
        for name in plan.replicas:
            watch = partial(watch_liveness, name, plan, rpc, log, clock)
            in_background(partial(_guarded, watch, log))


def _look_for_ever(guard: Guard, clock: Clock) -> None:
    while True:
        guard.look()
        clock.sleep(LOOK_EVERY_S)


def _guarded(work: Callable[[], None], log: AppendLog) -> None:
    """An error of our own ends this program visibly; supervisord starts it again."""
    try:
        work()
    except BaseException:  # noqa: BLE001  nothing may end this thread unseen
        log.write({"listener_error": traceback.format_exc()})
        os._exit(1)


if __name__ == "__main__":
    main()
