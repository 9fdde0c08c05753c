"""The store of trials: one night a line, appended and never rewritten, with the version of its format."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydantic

from harness.model.errors import RunFolderError
from harness.model.soak_trials import STORE_VERSION, Night
from harness.record.append import AppendLog, read_lines

__all__ = ["TrialStore"]

_ADAPTER: pydantic.TypeAdapter[Night] = pydantic.TypeAdapter(Night)


class TrialStore:
    """Nights in a file. What cannot be read is said; what is of another version is refused as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, night: Night) -> None:
        """Append a night, on the disk before this returns. Raises RunFolderError when that cannot be done."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            log = AppendLog(self.path, durable=True)
            try:
                log.write({"v": STORE_VERSION, "night": dataclasses.asdict(night)})
            finally:
                log.close()
        except OSError as error:
            raise RunFolderError(
                f"{self.path} cannot be written ({error.strerror}): nothing is lost, the run's folder holds "
                "it all; make room, then add it with 'harness soak add'"
            ) from error

    def read(self) -> tuple[tuple[Night, ...], tuple[str, ...]]:
        """Nights in the order of the file, and sentences on what is odd about it: damaged lines, a clock that jumped.

        The file's order is that of the nights, since it is only appended to, whatever the clock said. Of a run that was
        added again the last record counts, in its first place.

        Raises RunFolderError for a line of another version: its numbers may mean something else.
        """
        nights: dict[str, Night] = {}
        damage: list[str] = []
        if not self.path.exists():
            return (), ()
        try:
            for number, value in read_lines(self.path):
                night = self._night(number, value)
                if night is None:
                    damage.append(f"{self.path.name}:{number} is not a whole record and was left out")
                else:
                    nights[night.run_id] = night
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be read ({error.strerror})") from error
        return tuple(nights.values()), (*damage, *_set_back(tuple(nights.values())))

    def _night(self, number: int, value: Any) -> Night | None:
        if not isinstance(value, dict) or "night" not in value:
            return None
        if value.get("v") != STORE_VERSION:
            raise RunFolderError(
                f"{self.path}:{number}: written by version {value.get('v')} of the store, and this harness reads "
                f"version {STORE_VERSION}: choose another --store, or the harness that wrote it"
            )
        try:
            return _ADAPTER.validate_python(value["night"])
        except pydantic.ValidationError:
            return None


def _set_back(nights: Sequence[Night]) -> Iterator[str]:
    """A night whose clock was behind that of the night before it."""
    for before, night in pairwise(nights):
        with suppress(ValueError, TypeError):  # no time, or one without a zone
            if datetime.fromisoformat(night.wall_begin) < datetime.fromisoformat(before.wall_begin):
                yield (
                    f"{night.run_id} says that it began before {before.run_id}, which is above it: the clock was set "
                    "back; the file's order is kept"
                )
