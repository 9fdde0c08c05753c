"""The near end of signals: asks the agent beside the run's containers; see `harness.stack.remote.agent`.

Questions follow one another, each with a time limit. An agent that does not answer is an error in words, never a hang.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from harness.model.errors import BlastRadiusError, StackError
from harness.model.process_faults import Victim
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.remote.agent import SILENCE_S
from harness.stack.remote.clock import Offset, Reading, offset_of
from harness.stack.remote.far_end import FarEnd

__all__ = ["AgentClient"]

ANSWER_S = 5.0
FIRST_ANSWER_S = 30.0  # its interpreter has to start, on a host that may be loaded
READINGS = 20
AWAY = "the agent beside the containers does not answer any more; is the Docker engine still reached?"


class AgentClient:
    """`command`: how it is started. Raises StackError at every question when it has gone."""

    def __init__(self, run_id: str, command: Sequence[str], environ: Mapping[str, str], log: IO[bytes]) -> None:
        self._run_id = run_id
        self._lock = threading.Lock()
        self._rest = b""
        self._closing = threading.Event()
        self._far = FarEnd(command, environ, log)
        try:
            self._ask("now", within_s=FIRST_ANSWER_S)
        except StackError:
            self.close()
            raise
        threading.Thread(target=self._keep_awake, name="agent", daemon=True).start()

    def offset(self, clock: Clock) -> Offset:
        """How far its host's clocks are from this one's."""
        readings = []
        for _ in range(READINGS):
            before_s = clock.now()
            far_s, far_wall_s = self._ask("now")
            readings.append(Reading(before_s, clock.now(), clock.wall_s(), far_s, far_wall_s))
        return offset_of(readings)

    def server(self, replica: str, first_pid: int) -> TargetProcess | None:
        """The server process of a container whose first process is that one."""
        return _process(replica, self._ask("server", first_pid))

    def send(self, process: TargetProcess, name: str) -> bool:
        """False when it has gone. Raises BlastRadiusError when it is not this run's."""
        return bool(self._ask("signal", process.pid, process.started, name))

    def state(self, process: TargetProcess) -> str:
        """`running`, `stopped` (by a signal), or `gone`."""
        return str(self._ask("state", process.pid, process.started))

    def related(self, process: TargetProcess, of: Victim, first_pid: int) -> TargetProcess | None:
        """A server process itself, its engine's, or the first of its container."""
        return _process(process.replica, self._ask("related", process.pid, process.started, of, first_pid))

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        """How another process could take a pause back, through the engine."""
        identity = {"pid": process.pid, "started": process.started, "run_id": self._run_id}
        return Inverse("remote.continue", identity)

    def close(self) -> None:
        """End it; what it had stopped goes on. May be called again."""
        self._closing.set()
        with suppress(OSError):
            for stream in (self._far.to, self._far.back):
                stream.close()
        try:
            self._far.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._far.kill()

    def _ask(self, ask: str, *args: object, within_s: float = ANSWER_S) -> Any:
        with self._lock:
            try:
                said = self._exchange(json.dumps({"ask": ask, "args": args}).encode() + b"\n", within_s)
            except (OSError, ValueError) as error:  # ValueError: closed on this side, or not an answer
                raise StackError(AWAY) from error
        if "refused" in said:
            raise BlastRadiusError(said["refused"])
        return said["said"]

    def _exchange(self, line: bytes, within_s: float) -> dict[str, Any]:
        self._far.to.write(line)
        out = self._far.back
        while b"\n" not in self._rest:
            if not select.select([out], [], [], within_s)[0]:
                self._far.process.kill()  # a late answer would be taken for that to the next question
                raise TimeoutError
            data = os.read(out.fileno(), 65536)
            if not data:
                raise ConnectionError
            self._rest += data
        answer, _, self._rest = self._rest.partition(b"\n")
        said: dict[str, Any] = json.loads(answer)
        return said

    def _keep_awake(self) -> None:
        while not self._closing.wait(SILENCE_S / 4):
            try:
                self._ask("now")
            except StackError:
                return


def _process(replica: str, said: Sequence[int] | None) -> TargetProcess | None:
    return None if said is None else TargetProcess(replica, said[0], said[1])
