"""The guard: a process that outlives the harness and heals everything if it dies, by SIGKILL included.

`python -m harness.guard RUN_FOLDER RUN_ID OWNER_PID OWNER_STARTED REGISTRY`. It says "armed", then waits on its
standard input: a line "disarm" ends it, the end of input means that the owner is dead. It ignores what a terminal
sends.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.model.errors import RunBroken
from harness.record.clock import SystemClock
from harness.recover import Recovered, recover
from harness.stack.owned import RUN_LABEL, ProcessId, identify, process_state
from harness.store.registry import LiveRun, Registry

__all__ = ["Guard", "NoGuard", "ProcessGuard", "own_run"]

ARM_S = 10.0  # a loaded host may need seconds to start an interpreter
AGAIN_S, ENGINE_BACK_S = 1.0, 3600.0  # how often, and how long, an engine that is away is waited for


def own_run(run_id: str, folder: Path) -> LiveRun:
    """A run of this process, as the registry and a guard want to know it."""
    me = identify(os.getpid())
    return LiveRun(run_id, str(folder), os.getpid(), 0 if me is None else me.started)


class Guard(Protocol):
    """Armed before the first fault, disarmed when everything is clean."""

    def start(self) -> None:
        """Start it; from here on the owner's death is noticed, at the latest when the guard has begun to watch."""

    def confirm(self) -> None:
        """Return when it watches. Raises RunBroken."""

    def alive(self) -> bool:
        """Whether it still watches."""

    def disarm(self) -> None:
        """Let it go."""

    def hand_over(self) -> None:
        """Leave to it what could not be cleaned up."""


class NoGuard:
    """For a stack without anything real that could stay broken."""

    def start(self) -> None:
        pass

    def confirm(self) -> None:
        pass

    def alive(self) -> bool:
        return True

    def disarm(self) -> None:
        pass

    def hand_over(self) -> None:
        pass


class ProcessGuard:
    """The guard as a child process in a session of its own."""

    def __init__(self, run: LiveRun, registry: Registry, environ: Mapping[str, str]) -> None:
        self._run = run
        self._registry = registry
        self._environ = {key: value for key, value in environ.items() if key != RUN_LABEL}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        run = self._run
        command = [
            sys.executable,
            "-m",
            "harness.guard",
            run.folder,
            run.run_id,
            str(run.owner_pid),
            str(run.owner_started),
        ]
        log = (Path(run.folder) / "guard.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*command, str(self._registry.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )

    def confirm(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], ARM_S)
        if not readable or self._process.stdout.readline() != b"armed\n":
            raise RunBroken(f"the guard did not start: see {self._run.folder}/guard.log")

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def disarm(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(b"disarm\n")
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=ARM_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def hand_over(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # without a word: to the guard its owner is dead
        self._process.stdout.close()
        self._process.returncode = 0  # its end is not waited for
        self._process = None


def main(arguments: list[str]) -> int:
    """Watch, and recover when the owner is gone."""
    folder, run_id, owner_pid, owner_started, registry_folder = arguments
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(name, signal.SIG_IGN)
    run = LiveRun(run_id, folder, int(owner_pid), int(owner_started))
    with suppress(BrokenPipeError):  # the owner died before anybody could tell it: all the more reason to go on
        os.write(1, b"armed\n")
    if _owner_said_disarm(ProcessId(run.owner_pid, run.owner_started)):
        return 0
    done = _recover_when_possible(run, Registry(Path(registry_folder)))
    for error in done.errors:
        os.write(2, f"{error}\n".encode())
    os.write(2, f"the owner of run {run_id} died: faults healed, {done.killed} processes ended\n".encode())
    return 1 if done.errors else 0


def _recover_when_possible(run: LiveRun, registry: Registry) -> Recovered:
    """Again and again while an engine is away that has the run's containers: it would start them when it is back."""
    clock = SystemClock()
    give_up_s = clock.now() + ENGINE_BACK_S
    done = recover(run, registry, clock)
    if done.again:
        os.write(2, f"{done.errors[-1]}; tried again every {AGAIN_S:g} s for {ENGINE_BACK_S / 3600:g} h\n".encode())
    while done.again and clock.now() < give_up_s:
        clock.sleep(AGAIN_S)
        done = recover(run, registry, clock)
    return done


def _owner_said_disarm(owner: ProcessId) -> bool:
    while True:
        readable, _, _ = select.select([0], [], [], 0.5)
        if readable:
            return os.read(0, 64).startswith(b"disarm")
        if process_state(owner) in (None, "Z"):
            return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
