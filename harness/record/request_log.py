"""The log of requests that the load child writes: one JSON array a line, times in microseconds from the run's origin.

["b", lane, begin]                     a lane began
["s", lane, index, sent]               about to send (written before the request's bytes)
["d", lane, index, sent, first_byte, done, outcome, status, served_by, ttft, gap_max, tokens, checked, detail]
["n", lane, index, reason]             not sent, by the generator's own fault; outranks an "s"
["e", "stopped"]                       the end of an orderly run

The child may be killed at any byte: a last line without its newline is expected and skipped in silence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model.request import Outcome

__all__ = ["Began", "Damaged", "Done", "NotSent", "Record", "Sent", "Stopped", "Tail", "parse", "read"]


@dataclass(frozen=True, slots=True)
class Began:
    """A lane's schedule counts from `begin_us`."""

    lane: str
    begin_us: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A request is about to be sent."""

    lane: str
    index: int
    sent_us: int


@dataclass(frozen=True, slots=True)
class Done:
    """A request ended. `ttft_us` counts from `sent_us`; `checked`: the answer was compared with a golden one."""

    lane: str
    index: int
    sent_us: int
    first_byte_us: int | None
    done_us: int
    outcome: Outcome
    status: int | None
    served_by: str | None
    ttft_us: int | None
    gap_max_us: int | None
    tokens: int | None
    checked: bool
    detail: str | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The generator could not send it."""

    lane: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The child ended in good order: nothing is missing before this."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A line that cannot be read, as a sentence."""

    sentence: str


Record = Began | Sent | Done | NotSent | Stopped | Damaged


def parse(lines: Iterable[str], first_line: int = 1) -> Iterator[Record]:
    """Turn complete lines into records. Only a last line without a newline is passed over."""
    for number, line in enumerate(lines, first_line):
        if not line.endswith("\n"):
            return
        try:
            yield _record(json.loads(line))
        except (ValueError, TypeError, IndexError, KeyError):
            yield Damaged(f"Line {number} of the load log cannot be read and was left out: {line.strip()[:80]!r}.")


def read(path: Path) -> Iterator[Record]:
    """Every record of a finished log."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        yield from parse(file)


class Tail:
    """Reads what was added to a growing log since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._offset = 0  # bytes already turned into records
        self._lines = 0

    def read(self) -> list[Record]:
        """New records; nothing while the file does not exist yet."""
        try:
            if os.stat(self._path).st_size <= self._offset:  # cheaper than to open it: this is asked every tick
                return []
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").split("\n")[:-1]
        records = list(parse((f"{line}\n" for line in lines), self._lines + 1))
        self._offset += len(whole)
        self._lines += len(lines)
        return records


def _record(row: list[Any]) -> Record:
    kind, rest = row[0], row[1:]
    match kind:
        case "s":
            lane, index, sent = rest
            return Sent(_text(lane), _number(index), _number(sent))
        case "d":
            return _done(rest)
        case "b":
            lane, begin = rest
            return Began(_text(lane), _number(begin))
        case "n":
            lane, index, reason = rest
            return NotSent(_text(lane), _number(index), _text(reason))
        case "e":
            return Stopped()
        case _:
            raise ValueError(kind)


def _done(rest: list[Any]) -> Done:
    lane, index, sent, first, done, outcome, status, by, ttft, gap, tokens, checked, detail = rest
    return Done(
        lane=_text(lane),
        index=_number(index),
        sent_us=_number(sent),
        first_byte_us=_optional(first),
        done_us=_number(done),
        outcome=Outcome(outcome),
        status=_optional(status),
        served_by=None if by is None else _text(by),
        ttft_us=_optional(ttft),
        gap_max_us=_optional(gap),
        tokens=_optional(tokens),
        checked=bool(checked),
        detail=None if detail is None else _text(detail),
    )


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _optional(value: object) -> int | None:
    return None if value is None else _number(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
