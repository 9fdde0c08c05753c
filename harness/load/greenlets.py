"""The typed seam to gevent, which has no type hints (child only)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import gevent
import gevent.event
import gevent.fileobject

__all__ = [
    "Cancelled",
    "DeadlineReached",
    "Greenlet",
    "Signal",
    "bounded",
    "current",
    "read_lines",
    "signal",
    "sleep",
    "spawn",
]


class DeadlineReached(BaseException):
    """Raised inside `bounded` when its time is over."""


class Cancelled(BaseException):
    """Raised in a greenlet that is ended from outside."""


class Greenlet(Protocol):
    """What is used of gevent.Greenlet."""

    def kill(self, exception: BaseException | type[BaseException], block: bool) -> None:
        """Raise `exception` in it."""


class Signal(Protocol):
    """What is used of gevent.event.Event."""

    def set(self) -> None:
        """Wake who waits."""

    def is_set(self) -> bool:
        """Was it set?"""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, for at most `timeout` seconds; was it set?"""


def spawn(function: Callable[..., None], *args: object) -> Greenlet:
    """Start a greenlet; it runs when the current one waits."""
    return cast(Greenlet, gevent.spawn(function, *args))


def current() -> Greenlet:
    """The greenlet that runs."""
    return cast(Greenlet, gevent.getcurrent())


def sleep(seconds: float) -> None:
    """Let others run."""
    gevent.sleep(seconds)


def signal() -> Signal:
    """One that is not set yet."""
    return cast(Signal, gevent.event.Event())


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise DeadlineReached inside the block once `seconds` are over, wherever it waits."""
    timer: Any = gevent.Timeout.start_new(seconds, DeadlineReached())
    try:
        yield
    finally:
        timer.close()


def read_lines(fd: int) -> Iterator[bytes]:
    """Lines of a pipe, without blocking other greenlets; ends at end of file."""
    yield from gevent.fileobject.FileObjectPosix(fd, "rb", closefd=False)
