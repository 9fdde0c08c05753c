"""A log file that cannot fill the disk, and a full disk that cannot hurt: lines are lost, counted, and told of."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

__all__ = ["CLEAN_EVERY_S", "CappedFileHandler"]

DAY_S = 86_400.0
# While the disk refuses, lines are dropped without asking it about each of them.
RETRY_S = 1.0
CLEAN_EVERY_S = 600.0


class CappedFileHandler(RotatingFileHandler):
    """Appends whole lines; `max_bytes` is for this file with its `backups` together, 0: no limit.

    A file is rotated when it is full and once a day, so that what is older than `keep_days` can be removed; what
    cannot be written is counted in `dropped_total`. `clock` is wall time, as the files' own times are.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        keep_days: float,
        backups: int = 7,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._piece_bytes = max_bytes // (backups + 1)
        super().__init__(path, backupCount=backups, encoding="utf-8", delay=True)
        self._keep_s = keep_days * DAY_S
        self._clock = clock
        self._refused_until_s = float("-inf")
        self._clean_at_s = float("-inf")
        self._begun_s: float | None = None
        self.dropped_total = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or drop it; never raises, and says nothing elsewhere."""
        now_s = self._clock()
        if now_s < self._refused_until_s:
            self.dropped_total += 1
            return
        try:
            if now_s >= self._clean_at_s:
                self.remove_old()
            self._write(self.format(record).encode("utf-8", "backslashreplace") + b"\n", now_s)
        except OSError:
            self.dropped_total += 1
            self._refused_until_s = now_s + RETRY_S
            self.close()

    def _write(self, line: bytes, now_s: float) -> None:
        size_bytes = self._open_size(now_s)
        begun_s = self._begun_s if self._begun_s is not None else now_s
        full = 0 < self._piece_bytes < size_bytes + len(line)
        if size_bytes and (full or now_s - begun_s >= DAY_S):
            self.doRollover()
            size_bytes = self._open_size(now_s)
        if 0 < self._piece_bytes < len(line):
            raise OSError("the line alone is longer than the file may be")
        assert self.stream is not None
        # Past the stream's buffer: what a full disk refuses must not wait in it.
        number = self.stream.fileno()
        if os.write(number, line) != len(line):
            # Half a line would spoil the next one as well.
            with suppress(OSError):
                os.ftruncate(number, size_bytes)
            raise OSError("the disk took half a line")

    def _open_size(self, now_s: float) -> int:
        """The size in bytes of the file, open now: also after somebody has removed it."""
        if self.stream is not None and os.fstat(self.stream.fileno()).st_nlink == 0:
            self.close()
        if self.stream is None:
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            self.stream = self._open()
            facts = os.fstat(self.stream.fileno())
            # A file found here may be as old as its last line says.
            self._begun_s = facts.st_mtime if facts.st_size else now_s
        return os.fstat(self.stream.fileno()).st_size

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self.stream is not None:
            with suppress(OSError):
                self.stream.close()
            self.stream = None
        super().close()

    def remove_old(self) -> None:
        """Remove this log's files that were last written to more than `keep_days` ago."""
        now_s = self._clock()
        self._clean_at_s = now_s + CLEAN_EVERY_S
        base = Path(self.baseFilename)
        for path in base.parent.glob(f"{base.name}*"):
            with suppress(OSError):
                is_ours = path == base or path.suffix[1:].isdecimal()
                if is_ours and path.is_file() and 0 < self._keep_s < now_s - path.stat().st_mtime:
                    path.unlink()
