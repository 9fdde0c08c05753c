"""One JSON value a line, appended and never rewritten: a crash costs at most the line being written."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["AppendLog", "being_written", "read_lines"]


class AppendLog:
    """An append-only file of JSON lines. `durable` syncs each line to the disk before `write` returns.

    While it is open a lock lies on the file, which the kernel takes away when the process ends, by SIGKILL as well.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self._durable = durable
        existed = path.exists()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._fd, fcntl.LOCK_SH)  # shared: run, guard and sweep may all write to one journal
        if existed and not _ends_with_newline(path):
            os.write(self._fd, b"\n")  # a torn line of a dead writer must not swallow ours
        if durable:
            _sync_folder(path.parent)

    def write(self, value: Any) -> None:
        """Append one value as one line. Raises OSError when not all of it can be written, as on a full disk."""
        data = json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]
        if self._durable:
            os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value). A line that is not JSON yields (number, None): torn by a crash, or damaged.

    A path that ends in `.gz` was packed after the run.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError):
                    yield number, None


def being_written(path: Path) -> bool:
    """Whether some process has the file open as an AppendLog."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(fd)
    return False


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
