"""What the target's logs say around each episode, whatever their size: only the pieces that are needed are read.

Lines are placed by their own stamps (`log_clock.py`); a line without one belongs to the one before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.model.history import Header
from harness.model.verdict import EpisodeResult, LogExcerpt, LogLine
from harness.store.log_clock import LogClock, clock_of

__all__ = ["EPISODES_MAX", "clean", "excerpts"]

EPISODES_MAX = 12  # the worst; a report has no room for more
LINES_MAX = 24  # of an episode
LINE_MAX = 300  # characters
READ_BYTES = 256 * 1024  # of one file for one episode
PROBE_BYTES = 16 * 1024
BEFORE_S, AFTER_S = 1.0, 3.0
_CONTROL = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LOUD = re.compile(r"(?i)\b(warn\w*|err\w*|crit\w*|fatal|traceback|exit\w*|kill\w*|refus\w*|fail\w*|drain\w*|missed)\b")


def excerpts(stack: Path, header: Header, begin_s: float, episodes: Sequence[EpisodeResult]) -> tuple[LogExcerpt, ...]:
    """One for each of the given episodes, by number. `begin_s`: the schedule's begin on the run's clock, to which the
    episodes' times count. A file that cannot be read is named in the note and harms nothing.
    """
    files = sorted(path for path in stack.glob("*.log") if path.is_file() and not path.is_symlink())
    if not files:
        return ()
    clock = clock_of(header)
    chosen = sorted(episodes[:EPISODES_MAX], key=lambda one: one.number)
    return tuple(_excerpt(files, clock, begin_s, one) for one in chosen if one.fault_begin_s is not None)


def _excerpt(files: Sequence[Path], clock: LogClock, begin_s: float, one: EpisodeResult) -> LogExcerpt:
    assert one.fault_begin_s is not None
    fault_s = begin_s + one.fault_begin_s
    ends = [one.fault_end_s or 0.0, one.fault_begin_s + _recovered_s(one)]
    window = (fault_s - BEFORE_S, begin_s + min(one.end_s, max(ends) + AFTER_S))
    lines: list[LogLine] = []
    notes = []
    for path in files:
        try:
            found, note = _of_file(path, clock, window)
        except OSError as error:
            found, note = [], f"{path.name} cannot be read ({error.strerror})"
        lines += [LogLine(round(at_s - fault_s, 3), path.name, text) for at_s, text in found]
        notes += [note] if note else []
    shown = _most_telling(lines)
    if len(shown) < len(lines):
        notes.insert(0, f"{len(shown)} of {len(lines):,} lines: of like ones the first, trouble before the rest")
    return LogExcerpt(one.number, tuple(shown), "; ".join(notes))


def _recovered_s(one: EpisodeResult) -> float:
    moments = [one.stages.verify_s, one.recovery_s.high if one.recovery_s else None]
    return max((moment for moment in moments if moment is not None), default=0.0)


def _most_telling(lines: Sequence[LogLine]) -> list[LogLine]:
    """At most LINES_MAX, by time: trouble before the rest, and no two alike of one file."""
    by_time = sorted(lines, key=lambda line: line.at_s)
    seen: set[tuple[str, str]] = set()
    fresh = []
    for line in by_time:
        key = (line.source, re.sub(r"[0-9]+", "0", line.text))
        if key not in seen:
            seen.add(key)
            fresh.append(line)
    loud = [line for line in fresh if _LOUD.search(line.text)][:LINES_MAX]
    quiet = [line for line in fresh if not _LOUD.search(line.text)][: LINES_MAX - len(loud)]
    return sorted([*loud, *quiet], key=lambda line: line.at_s)


def _of_file(path: Path, clock: LogClock, window: tuple[float, float]) -> tuple[list[tuple[float, str]], str]:
    """(seconds, text) of the lines in the window, and what to say of the file."""
    size = path.stat().st_size
    if size == 0:
        return [], ""
    with path.open("rb") as file:
        start = _seek(file.fileno(), size, clock, window[0])
        file.seek(start)
        data = file.read(READ_BYTES)
    found = list(_lines(data, clock, window, whole=start + len(data) == size))
    if not found and not any(clock.seconds(line) is not None for line in data.splitlines()[:200]):
        return [], f"no times in {path.name}"
    cut = len(data) == READ_BYTES and bool(found) and found[-1][2]
    return [(at_s, text) for at_s, text, _ in found], f"{path.name} was read in part" if cut else ""


def _lines(
    data: bytes, clock: LogClock, window: tuple[float, float], *, whole: bool
) -> Iterator[tuple[float, str, bool]]:
    """(seconds, text, whether it is the last one read) of the lines in the window."""
    rows = data.split(b"\n")
    rows = rows if whole else rows[:-1]
    at_s: float | None = None
    for index, row in enumerate(rows):
        own = clock.seconds(row[:80])
        at_s = own if own is not None else at_s
        if at_s is not None and at_s > window[1]:
            return
        text = clean(row, LINE_MAX)
        if at_s is not None and at_s >= window[0] and text:
            yield at_s, text, index == len(rows) - 1


def clean(row: bytes, most: int) -> str:
    """A line as text of at most so many characters, without control characters."""
    text = _CONTROL.sub("", row[: 4 * most].decode("utf-8", "replace")).strip()
    return text if len(text) <= most else text[: most - 1] + "…"


def _seek(fd: int, size: int, clock: LogClock, begin_s: float) -> int:
    """An offset at or before the first line of `begin_s`, by halving: a log grows with time."""
    low, high = 0, size
    while high - low > PROBE_BYTES * 2:
        middle = (low + high) // 2
        rows = os.pread(fd, PROBE_BYTES, middle).split(b"\n")[1:]
        stamp = next((at_s for row in rows if (at_s := clock.seconds(row[:80])) is not None), None)
        if stamp is None or stamp >= begin_s:
            high = middle
        else:
            low = middle
    return low
