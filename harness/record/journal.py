"""Undo before do: the inverse of a fault is on the disk before the fault is applied.

undo.jsonl holds three kinds of lines: `{"intend": n, "inverse": {...}}` before a fault, `{"undone": n}` after its
inverse was carried out, `{"failed": n, "error": "..."}` when it could not be. Whoever finds the file, this process, the
guard or the next run's sweep, can finish the job: an inverse is data, and doing it twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.record.append import AppendLog, read_lines

__all__ = ["Inverse", "Journal", "pending", "undo_all"]


@dataclass(frozen=True)
class Inverse:
    """How to take a fault back: the name of a function in `harness.faults.inverse` and its arguments."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Writes intents and what became of them, each line synced to the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = AppendLog(path, durable=True)
        self._next = max((number for number, _ in _intents(path)), default=0) + 1

    def intend(self, inverse: Inverse) -> int:
        """Record an inverse before its fault is applied; returns its number."""
        number = self._next
        self._next += 1
        self._log.write({"intend": number, "inverse": {"name": inverse.name, "args": dict(inverse.args)}})
        return number

    def undone(self, number: int) -> None:
        """Record that the inverse was carried out and verified."""
        self._log.write({"undone": number})

    def failed(self, number: int, error: str) -> None:
        """Record that the inverse could not be carried out; it stays pending."""
        self._log.write({"failed": number, "error": error})

    def close(self) -> None:
        self._log.close()


def pending(path: Path) -> list[tuple[int, Inverse]]:
    """Inverses that were intended and not carried out, newest first."""
    if not path.exists():
        return []
    done = [value["undone"] for _, value in read_lines(path) if isinstance(value, dict) and "undone" in value]
    return sorted((entry for entry in _intents(path) if entry[0] not in done), key=lambda entry: -entry[0])


def undo_all(path: Path, carry_out: Callable[[Inverse], None]) -> list[str]:
    """Carry out every pending inverse, newest first; one that fails does not stop the next. Returns the errors."""
    entries = pending(path)
    if not entries:
        return []
    done: list[int] = []
    failed: dict[int, str] = {}
    for number, inverse in entries:
        try:
            carry_out(inverse)
        except Exception as error:  # noqa: BLE001  the next inverse matters more than this one's class of error
            failed[number] = f"{inverse.name} {dict(inverse.args)}: {error}"
        else:
            done.append(number)
    try:
        _note(path, done, failed)
    except OSError as error:  # healed all the same, and healing once more does no harm
        return [*failed.values(), f"{path} cannot be written: {error}"]
    return list(failed.values())


def _note(path: Path, done: Sequence[int], failed: Mapping[int, str]) -> None:
    journal = Journal(path)
    try:
        for number in done:
            journal.undone(number)
        for number, error in failed.items():
            journal.failed(number, error)
    finally:
        journal.close()


def _intents(path: Path) -> list[tuple[int, Inverse]]:
    """Intents in order. One that is torn or damaged is passed over: it was cut off before its fault was applied."""
    if not path.exists():
        return []
    values = [
        value for _, value in read_lines(path) if isinstance(value, dict) and isinstance(value.get("intend"), int)
    ]
    return [
        (value["intend"], Inverse(str(inverse["name"]), inverse["args"]))
        for value in values
        if isinstance(inverse := value.get("inverse"), dict)
        and "name" in inverse
        and isinstance(inverse.get("args"), dict)
    ]
