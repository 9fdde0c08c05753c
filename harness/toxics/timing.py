"""When something is due. The loop's own timers are rounded to a millisecond, more than the error that we may make; so
one timerfd wakes the loop for the earliest of all alarms. Where there is no timerfd, the loop's timers do."""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Callable
from itertools import count

__all__ = ["Alarm", "Alarms", "now"]

now = time.monotonic  # s
LONGEST_S = 1e8  # three years: what is due later is never due
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """One call to come."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Alarms:
    """All calls to come, soonest first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = count()
        self._set_for = 0.0  # s; 0: nothing is set
        self._timer: asyncio.TimerHandle | None = None
        self._fd = _timerfd()
        if self._fd >= 0:
            loop.add_reader(self._fd, self._rung)

    def at(self, due: float, call: Callable[[], None]) -> Alarm:
        """Call at `due` (s, monotonic) or soon after."""
        alarm = Alarm(call)
        heapq.heappush(self._heap, (min(due, now() + LONGEST_S), next(self._order), alarm))
        self._arm()
        return alarm

    def close(self) -> None:
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _arm(self) -> None:
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
        due = self._heap[0][0] if self._heap else 0.0
        if due == 0.0 or (self._set_for and self._set_for <= due):
            return  # an early bell costs one look; that is cheaper than to set it anew for each cancelled alarm
        self._set_for = due
        if self._fd >= 0:
            seconds = int(due)
            spec = _Spec(0, 0, seconds, max(1, int((due - seconds) * 1e9)))
            _libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)
        else:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(0.0, due - now()), self._due)

    def _rung(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._due()

    def _due(self) -> None:
        self._set_for = 0.0
        try:
            while self._heap and self._heap[0][0] <= now():
                alarm = heapq.heappop(self._heap)[2]
                if alarm.call is not None:
                    alarm.call()
        finally:
            self._arm()  # a call that fails does not take the others along


_libc = ctypes.CDLL(None, use_errno=True)


def _timerfd() -> int:
    try:
        return int(_libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC))
    except AttributeError:  # not Linux
        return -1
