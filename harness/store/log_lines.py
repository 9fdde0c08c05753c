"""All logs of a run as one stream of lines on the run's clock, in bounded memory and time whatever their size.

Read are the servers' words (`stack/*.log`) and their access logs (`stack/logs/*.access.log`, with rotated ones). Of
more than BYTES_MAX altogether, evenly spaced pieces of every file are read, and each line stands for several.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from harness.model.history import Header
from harness.model.log_evidence import LogRecord
from harness.store.log_clock import STAMP_BYTES, clock_of
from harness.store.logs import clean

__all__ = ["BYTES_MAX", "StackLogs"]

BYTES_MAX = 32 * 2**20  # some 5 s of work
PIECE_BYTES = 8 * 1024  # short, so that every second of a log is met; whole files are read in larger ones
BLOCK_BYTES = 2**20
TEXT_MAX = 2000  # characters of a line; an access line has some 350
_ROTATED = re.compile(r"\.(\d{1,3})$")


class StackLogs:
    """The logs below a run's `stack/`. `notes` is complete when `lines` has been read to its end."""

    def __init__(self, stack: Path, header: Header, bytes_max: int = BYTES_MAX) -> None:
        found = [*stack.glob("*.log"), *stack.glob("logs/*.access.log"), *stack.glob("logs/*.access.log.*")]
        self._files = sorted((one for one in found if one.is_file() and not one.is_symlink()), key=_order)
        self._clock = clock_of(header)
        self._bytes_max = bytes_max
        self.notes: list[str] = []

    @property
    def any(self) -> bool:
        """Whether there is a log at all."""
        return bool(self._files)

    def lines(self) -> Iterator[LogRecord]:
        """File after file, each in its own order. A line without a stamp has the time of the one before it."""
        total = sum(one.stat().st_size for one in self._files)
        every = max(1, math.ceil(total / self._bytes_max))
        for path in self._files:
            try:
                yield from self._of_file(path, every)
            except OSError as error:
                self.notes.append(f"{path.name} cannot be read ({error.strerror})")
        if every > 1:
            self.notes.append(
                f"of {total / 1e6:,.0f} MB of logs every {every}th piece of {PIECE_BYTES // 1024} KiB was read"
            )

    def _of_file(self, path: Path, every: int) -> Iterator[LogRecord]:
        source = _ROTATED.sub("", path.name)
        at_s: float | None = None
        texts = stamps = 0
        for row, follows in _rows(path, every):
            own = self._clock.seconds(row[:STAMP_BYTES])
            at_s = own if own is not None else at_s if follows else None
            texts, stamps = texts + 1, stamps + (own is not None)
            if at_s is not None and (text := clean(row, TEXT_MAX)):
                yield LogRecord(at_s, source, text, float(every))
        if texts and not stamps:
            self.notes.append(f"no times in {path.name}")


def _order(path: Path) -> tuple[str, str, int]:
    """Rotated pieces of a log before it, the oldest first."""
    found = _ROTATED.search(path.name)
    return str(path.parent), _ROTATED.sub("", path.name), -int(found.group(1)) if found else 0


def _rows(path: Path, every: int) -> Iterator[tuple[bytes, bool]]:
    """Whole lines, and whether each follows the one before it directly. What is longer than a block is left out."""
    piece = BLOCK_BYTES if every == 1 else PIECE_BYTES
    with path.open("rb") as file:
        rest, at, follows = b"", 0, False
        while data := file.read(piece):
            rows = (rest + data).split(b"\n")
            rest = rows.pop()
            if every > 1:
                rows, follows = rows[1:] if at else rows, False
                at += piece * every
                file.seek(at)
                rest = b""
            for row in rows:
                yield row, follows
                follows = True
            if len(rest) > BLOCK_BYTES:
                rest = b""
        if rest:
            yield rest, follows
