"""The nights of a soak, one line each, in a file that is only ever appended to.

The order of the lines is the order of the nights: a clock may jump, a file that is appended to does not. What cannot be
read stays in the file and is spoken of, never thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.model.errors import HarnessError
from harness.record.append import AppendLog, read_lines

__all__ = ["VERSION", "History", "HistoryError", "Night", "append_night", "read_history"]

VERSION = 1
_TEXTS = ("began_at", "build", "configuration", "host_kind", "seed")


class HistoryError(HarnessError):
    """The file of nights cannot be read or written; the message says which and why."""


@dataclass(frozen=True)
class Night:
    """The summary of one night. `values`: a number per series, its unit in its name; None: not estimable that night."""

    began_at: str  # wall time, ISO 8601 with its zone
    build: str  # of the target: what may differ from night to night, and is what is watched
    configuration: str  # a digest of soak file and options: nights are compared when it is the same
    host_kind: str  # likewise
    seed: str
    trials: int  # verified ones, of all fault types
    values: Mapping[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.trials < 0:
            raise ValueError(f"trials is {self.trials}: it must be 0 or more")
        if datetime.fromisoformat(self.began_at).tzinfo is None:
            raise ValueError(f"began_at is {self.began_at}: it must have a time zone")
        for name, value in self.values.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} is {value}: it must be a finite number, or None")


@dataclass(frozen=True)
class History:
    """Nights in the order in which they were written, and what was odd about the file, a sentence each."""

    nights: tuple[Night, ...]
    notes: tuple[str, ...] = ()

    def comparable(self) -> tuple[Night, ...]:
        """Nights like the last one: of its configuration and host kind, whatever the build."""
        last = self.nights[-1:]
        return tuple(
            n for n in self.nights for z in last if (n.configuration, n.host_kind) == (z.configuration, z.host_kind)
        )


def append_night(path: Path, night: Night) -> None:
    """Write one line and sync it to the disk. A HistoryError when that fails, as on a full disk; earlier lines stay."""
    line = {"version": VERSION, **asdict(night), "values": dict(night.values)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = AppendLog(path, durable=True)
        try:
            log.write(line)
        finally:
            log.close()
    except OSError as error:
        remedy = "make room or give another file; the night's own folder still has its results"
        raise HistoryError(f"{path}: the night could not be written ({error.strerror}): {remedy}") from error


def read_history(path: Path) -> History:
    """All nights of a file; none when it is not there. A HistoryError when it cannot be read at all."""
    nights: list[Night] = []
    notes: list[str] = []
    try:
        lines = list(read_lines(path)) if path.exists() else []
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read ({error.strerror})") from error
    for number, value in lines:
        where = f"{path.name}:{number}"
        night = _night(value, where, notes)
        if night is None:
            continue
        if nights and datetime.fromisoformat(night.began_at) <= datetime.fromisoformat(nights[-1].began_at):
            notes.append(f"{where}: began before the night above it: the clock was set back; the file's order is kept")
        nights.append(night)
    return History(tuple(nights), tuple(notes))


def _night(value: Any, where: str, notes: list[str]) -> Night | None:
    if not isinstance(value, dict):
        notes.append(f"{where}: not a whole record; it is left out, and left in the file")
        return None
    version = value.get("version")
    if version != VERSION:
        notes.append(f"{where}: version {version!r}, this is {VERSION}; it is not compared, and left in the file")
        return None
    try:
        if not all(isinstance(value[name], str) for name in _TEXTS):
            raise TypeError(f"{', '.join(_TEXTS)} must be texts")
        return Night(**{name: value[name] for name in (*_TEXTS, "trials", "values")})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        notes.append(f"{where}: not a night ({error!s}); it is left out, and left in the file")
        return None
