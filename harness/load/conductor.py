"""The load child's work: do what the driver says, inside Locust's one user (child only)."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path

from locust import FastHttpUser, constant, task
from locust.env import Environment
from locust.exception import StopUser

from harness.load.greenlets import read_lines, signal, sleep, spawn
from harness.load.lanes import Lanes
from harness.load.log_writer import LogWriter
from harness.load.schedule import peak_in_flight
from harness.load.spec import LoadSpec

__all__ = ["Conductor", "conduct"]

_FLUSH_S = 0.1
_CANCEL_S = 0.2
_START_S = 20.0  # for Locust to start its one user


class Conductor:
    """Does what the driver says, and writes the log."""

    def __init__(self, spec: LoadSpec) -> None:
        self.started = signal()
        self.finished = signal()
        self.exit_code = 1
        self._log = LogWriter(Path(spec.log_path), spec.origin_monotonic_s)
        self._lanes = Lanes(spec, self._log, lambda lane: _say(lane_done=lane))
        self._stop = signal()
        self._grace_s = 0.0
        self._orphaned = False

    def run(self) -> None:
        """From readiness to the last request's end; the body of Locust's one task."""
        self.started.set()
        spawn(self._flush_for_ever)
        spawn(self._obey)
        gc.collect()
        gc.freeze()  # what exists now stays: later collections look only at what requests leave behind
        _say(ready=True)
        self._stop.wait()
        self._wind_up()
        if not self._orphaned:
            self._log.stopped()
            self.exit_code = 0
        self._log.close()
        if not self._orphaned:
            _say(stopped=True)

    def _obey(self) -> None:
        for line in read_lines(sys.stdin.fileno()):
            command = json.loads(line)
            if "begin" in command:
                self._lanes.begin(command["begin"], command["at_monotonic_s"])
            elif "end" in command:
                self._lanes.end(command["end"])
            elif "stop" in command:
                self._grace_s = command.get("grace_s", 0.0)
                self._stop.set()
        self._orphaned = not self._stop.is_set()
        self._grace_s = 0.0
        self._stop.set()

    def _wind_up(self) -> None:
        self._lanes.end_all()
        began_s = time.monotonic()
        # The grace is read anew each time: it drops to nothing when the harness dies meanwhile.
        while self._lanes.in_flight and time.monotonic() < began_s + self._grace_s:
            sleep(0.005)
        self._lanes.cancel_all()
        began_s = time.monotonic()
        while self._lanes.in_flight and time.monotonic() < began_s + _CANCEL_S:
            sleep(0.001)  # the cancelled ones write their records

    def _flush_for_ever(self) -> None:
        while not self.finished.is_set():
            sleep(_FLUSH_S)
            self._log.flush()


def conduct(spec: LoadSpec) -> int:
    """Run the spec's load until told to stop; returns the exit code."""
    conductor = Conductor(spec)

    class OpenLoopUser(FastHttpUser):
        """The only user: it never waits for an answer before it sends the next request."""

        host = spec.base_url
        wait_time = constant(0)
        concurrency = peak_in_flight(spec)

        @task
        def walk_the_schedules(self) -> None:
            try:
                conductor.run()
            except Exception:  # noqa: BLE001  Locust would log it and run the task again
                traceback.print_exc()
            finally:
                conductor.finished.set()
            raise StopUser

    runner = Environment(user_classes=[OpenLoopUser]).create_local_runner()
    runner.start(1, spawn_rate=1)
    if not conductor.started.wait(timeout=_START_S):
        sys.stderr.write(f"Locust did not start its user within {_START_S:g} s.\n")
        return 1
    conductor.finished.wait()
    runner.quit()
    return conductor.exit_code


def _say(**message: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # the harness is gone; the end of stdin says so too
        os.write(sys.stdout.fileno(), (json.dumps(message) + "\n").encode())
