"""One run at a time on a machine: two targets on the same processors would measure each other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["one_at_a_time"]


@contextmanager
def one_at_a_time(folder: Path, stack: str) -> Iterator[None]:
    """Wait until no other test of this machine runs on a real stack; the fake one needs no turn.

    The lock belongs to the open file, so that the kernel gives it back however its owner ends.
    """
    if stack == "fake":
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pytest.lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
