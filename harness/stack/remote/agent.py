"""The far end of signals: `python -m harness.stack.remote.agent RUN_ID`, in a container that sees its host's processes.

It runs as the target's own user and without any capability, so it can signal nothing but that user's processes, and of
these it signals only the run's. Questions come as JSON lines on its standard input, answers go to its output:

    {"ask": "server", "args": [4121]}              ->  {"said": [4128, 771234]}    pid and start of the server below
    {"ask": "signal", "args": [4128, 771234, "SIGSTOP"]}  ->  {"said": true}
    {"ask": "signal", "args": [1, 2, "SIGKILL"]}   ->  {"refused": "process 1 does not belong to run …"}

When nobody asks any more, whatever it has stopped is continued: at the end of its input, or after SILENCE_S.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from harness.model.errors import BlastRadiusError
from harness.record.clock import Clock, SystemClock
from harness.stack.base import TargetProcess
from harness.stack.owned import identify
from harness.stack.target_signals import TargetSignals, related, server_below

__all__ = ["SILENCE_S", "Agent", "main"]

SILENCE_S = 20.0


class Agent:
    """Answers for the processes of one run."""

    def __init__(self, run_id: str, clock: Clock) -> None:
        self._signals = TargetSignals(run_id)
        self._clock = clock
        self._stopped: dict[tuple[int, int], TargetProcess] = {}
        self._answers: Mapping[str, Callable[..., Any]] = {
            "now": self._now,
            "server": self._server,
            "signal": self._signal,
            "state": self._state,
            "related": self._related,
        }

    def answer(self, line: bytes) -> dict[str, Any]:
        """`said`, or `refused` with the reason."""
        try:
            asked = json.loads(line)
            return {"said": self._answers[asked["ask"]](*asked["args"])}
        except BlastRadiusError as error:
            return {"refused": str(error)}
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"refused": f"the agent does not understand, or cannot: {error!r}"}

    def let_go(self) -> None:
        """Continue what was stopped; does no harm twice."""
        stopped, self._stopped = self._stopped, {}
        for process in stopped.values():
            with suppress(BlastRadiusError, OSError):
                self._signals.send(process, "SIGCONT")

    def _now(self) -> list[float]:
        return [self._clock.now(), self._clock.wall_s()]

    def _server(self, first_pid: int) -> list[int] | None:
        pid = server_below(first_pid)
        found = identify(pid) if pid else None
        return None if found is None else [found.pid, found.started]

    def _signal(self, pid: int, started: int, name: str) -> bool:
        process = TargetProcess("", pid, started)
        if name == "SIGSTOP":
            self._stopped[pid, started] = process
        hit = self._signals.send(process, name)
        if name == "SIGCONT":
            self._stopped.pop((pid, started), None)
        return hit

    def _state(self, pid: int, started: int) -> str:
        return self._signals.state(TargetProcess("", pid, started))

    def _related(self, pid: int, started: int, of: Any, first_pid: int) -> list[int] | None:
        found = related(TargetProcess("", pid, started), of, first_pid)
        return None if found is None else [found.pid, found.started]


def main(arguments: list[str]) -> int:
    """Answer until the end of the input; `RUN_ID continue PID STARTED` continues one process instead."""
    run_id = arguments[0]
    agent = Agent(run_id, SystemClock())
    if arguments[1:2] == ["continue"]:
        TargetSignals(run_id).send(TargetProcess("", int(arguments[2]), int(arguments[3])), "SIGCONT")
        return 0
    rest = b""
    while True:
        if not select.select([0], [], [], SILENCE_S)[0]:
            agent.let_go()
            continue
        data = os.read(0, 65536)
        if not data:
            agent.let_go()
            return 0
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            with suppress(BrokenPipeError):  # the end of the input says so, too
                os.write(1, json.dumps(agent.answer(line)).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
