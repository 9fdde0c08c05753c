"""What was added to a stack's files while one run used it: the run's part of them, for its own folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["copy_since", "sizes"]

GROWING = (".log", ".jsonl")
NOT_KEPT = ("model-", "private", "prometheus")  # folders: copies of the model, secrets, a database


def sizes(folder: Path) -> dict[str, int]:
    """Path in the folder -> bytes, of every file that only grows."""
    return {name: (folder / name).stat().st_size for name in _files(folder) if name.endswith(GROWING)}


def copy_since(folder: Path, before: Mapping[str, int], into: Path) -> None:
    """What files have that had so many bytes `before`; whole: those that were not there, have shrunk, or do not grow.

    A file that cannot be copied, as on a full disk, is left out: it is evidence, and the run has its result without it.
    """
    for name in _files(folder):
        source, target = folder / name, into / name
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            start = before.get(name, 0)
            with source.open("rb") as file:
                file.seek(start if start <= os.fstat(file.fileno()).st_size else 0)
                with target.open("wb") as copy:
                    shutil.copyfileobj(file, copy)


def _files(folder: Path) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(NOT_KEPT)]
        for name in names:
            path = Path(base) / name
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder))
