"""`python -m harness.stack.restart_budget`: an event listener of supervisord that ends restart storms.

Supervisor restarts for ever what dies after its first second. This program counts unexpected exits of each program in a
sliding window and stops a program that has used up its budget. It writes every change of state to a file, which is how
the run learns when processes died and came back.

It has two more duties, both because supervisord looks at its children only when something wakes it, else once a second:
an answered event wakes it, so an exit is followed by the restart at once; and a byte on our stderr every 0.1 s bounds
the time until it sees an exit whose closed pipes it noticed a moment too early.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import traceback
import xmlrpc.client
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.record.append import AppendLog
from harness.record.clock import Clock, SystemClock
from harness.stack.supervisor_config import GROUP
from harness.stack.supervisor_rpc import SupervisorRpc, SupervisorSilent

__all__ = ["Change", "Guard", "RestartBudget", "listen", "parse_tokens"]

READY = b"READY\n"
OK = b"RESULT 2\nOK"
WAKE_EVERY_S = 0.1
STOP_WITHIN_S = 5.0


class RestartBudget:
    """At most `max_restarts` unexpected exits within `per_s` seconds; the next one is over budget."""

    def __init__(self, max_restarts: int, per_s: float) -> None:
        self._max = max_restarts
        self._per_s = per_s
        self._exits: defaultdict[str, deque[float]] = defaultdict(deque)

    def exited(self, program: str, at_s: float) -> bool:
        """Count an exit; True when the program is over its budget."""
        exits = self._exits[program]
        exits.append(at_s)
        while exits[0] <= at_s - self._per_s:
            exits.popleft()
        return len(exits) > self._max


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

    @property
    def is_crash(self) -> bool:
        """BACKOFF: it died within its first second."""
        return self.state == "BACKOFF" or (self.state == "EXITED" and self.expected is False)


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
    """Writes changes down and stops what is over budget."""

    def __init__(self, budget: RestartBudget, rpc: SupervisorRpc, log: AppendLog, clock: Clock) -> None:
        self._budget = budget
        self._rpc = rpc
        self._log = log
        self._clock = clock

    def work(self, changes: queue.SimpleQueue[Change | None]) -> None:
        """Handle changes until None comes."""
        while (change := changes.get()) is not None:
            self.handle(change)

    def handle(self, change: Change) -> None:
        pid = change.pid if change.pid is not None or change.state != "STARTING" else self._pid(change)
        self._write(change, state=change.state, came_from=change.came_from, pid=pid, expected=change.expected)
        if change.group == GROUP and change.is_crash and self._budget.exited(change.program, change.at_monotonic_s):
            stopped = self._stop(f"{change.group}:{change.program}")
            self._write(change, state="GIVEN_UP", came_from=change.state, pid=None, expected=None, stopped=stopped)

    def _write(self, change: Change, **fields: object) -> None:
        self._log.write({"at_monotonic_s": change.at_monotonic_s, "program": change.program, **fields})

    def _pid(self, change: Change) -> int | None:
        """The announcement of a start comes before the fork, so it has no pid; by now there is one."""
        try:
            return self._rpc.state(f"{change.group}:{change.program}").pid
        except (SupervisorSilent, xmlrpc.client.Fault):
            return None

    def _stop(self, full_name: str) -> bool:
        """A program that has just exited cannot be stopped until its restart begins, so this asks again."""
        deadline = self._clock.now() + STOP_WITHIN_S
        while self._clock.now() < deadline:
            try:
                if self._rpc.state(full_name).state in ("STOPPED", "FATAL"):
                    return True
                self._rpc.call("stopProcess", full_name, False)
            except (SupervisorSilent, xmlrpc.client.Fault):
                pass  # not running at this moment
            self._clock.sleep(0.05)
        return False


def wake(stderr_fd: int, clock: Clock) -> None:
    """Let supervisord look at its children; it reads and drops the bytes. Returns when it has gone."""
    try:
        while True:
            os.write(stderr_fd, b".")
            clock.sleep(WAKE_EVERY_S)
    except OSError:
        return


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.stack.restart_budget")
    parser.add_argument("--max-restarts", type=int, default=5)
    parser.add_argument("--per-s", type=float, default=60.0)
    parser.add_argument("--socket", type=Path, required=True, help="supervisord's control socket")
    parser.add_argument("--log", type=Path, required=True, help="where to append changes of state")
    arguments = parser.parse_args(argv)
    clock, log = SystemClock(), AppendLog(arguments.log)
    changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
    budget = RestartBudget(arguments.max_restarts, arguments.per_s)
    guard = Guard(budget, SupervisorRpc(arguments.socket), log, clock)
    threading.Thread(target=wake, args=(sys.stderr.fileno(), clock), daemon=True).start()
    threading.Thread(target=_guarded, args=(guard, changes, log), daemon=True).start()
    listen(sys.stdin.buffer, sys.stdout.buffer, changes, clock)


def _guarded(guard: Guard, changes: queue.SimpleQueue[Change | None], log: AppendLog) -> None:
    """An error of our own ends this program visibly; supervisord starts it again."""
    try:
        guard.work(changes)
    except BaseException:  # noqa: BLE001  nothing may end this thread unseen
        log.write({"listener_error": traceback.format_exc()})
        os._exit(1)


if __name__ == "__main__":
    main()
