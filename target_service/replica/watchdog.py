"""A watchdog on the engine's progress: work and no step for too long ends the process.

A process that hangs and lives is worse than one that died: a supervisor restarts only the dead.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["ProgressWatch", "Watchdog", "end_process"]

log = logging.getLogger(__name__)

LOOKS_PER_LIMIT = 20
LOOK_S_MAX = 1.0


class _Works(Protocol):
    @property
    def busy(self) -> bool: ...

    @property
    def died(self) -> bool: ...

    @property
    def steps_total(self) -> int: ...


class ProgressWatch:
    """Feed it looks at the engine; it says for how long there was work and no step.

    One look adds at most `gap_s_max`: a process that was stopped as a whole has not stalled.
    """

    def __init__(self, gap_s_max: float) -> None:
        self._gap_s_max = gap_s_max
        self._looked_s = 0.0
        self._steps = 0
        self._was_busy = False
        self.stalled_s = 0.0

    def look(self, now_s: float, steps: int, *, busy: bool) -> float:
        """Take note of the engine at `now_s`; return `stalled_s`."""
        stalls = busy and self._was_busy and steps == self._steps
        gap_s = min(now_s - self._looked_s, self._gap_s_max)
        self.stalled_s = self.stalled_s + gap_s if stalls else 0.0
        self._looked_s, self._steps, self._was_busy = now_s, steps, busy
        return self.stalled_s


class Watchdog:
    """Looks at the engine from a thread of its own, so that no loop that hangs can stop it.

    `clock` in seconds; by one that is set back an hour, an engine may stand still for an hour more.
    """

    def __init__(
        self, engine: _Works, limit_s: float, trip: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._limit_s = limit_s
        self._trip = trip
        self._clock = clock
        self._look_s = min(limit_s / LOOKS_PER_LIMIT, LOOK_S_MAX)
        self._watch = ProgressWatch(2 * self._look_s)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends with the process, or after `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more: the engine is another one now."""
        self._stopped.set()

    def look(self, now_s: float) -> bool:
        """Look once; True, after tripping, when the engine is dead or stands still for too long."""
        stalled_s = self._watch.look(now_s, self._engine.steps_total, busy=self._engine.busy)
        if self._engine.died:
            log.error("the engine's thread has died")
        elif stalled_s >= self._limit_s:
            log.error("the engine has work and made no step for %.1f s", stalled_s)
        else:
            return False
        self._trip()
        return True

    def _run(self) -> None:
        while not self.look(self._clock()):
            if self._stopped.wait(self._look_s):
                return


def end_process(exit_code: int) -> None:
    """Write the stacks of all threads to stderr and end at once: what hangs cannot be asked to end."""
    sys.stderr.flush()
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(exit_code)
