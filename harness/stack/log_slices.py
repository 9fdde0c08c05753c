"""What was added to a stack's files while one run used it: the run's part of them, for its own folder."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["SoFar", "copy_since", "so_far"]

GROWING = (".log", ".jsonl")
ROTATED = re.compile(r"\.(log|jsonl)\.\d+$")  # a piece that another one has followed
HEAD_BYTES = 256
NOT_KEPT = ("model-", "private", "prometheus")  # folders: copies of the model, secrets, a database


@dataclass(frozen=True)
class SoFar:
    """How much of a file there is, and how it begins: an inode's number may be another file's later."""

    size_bytes: int
    head: bytes


def so_far(folder: Path) -> dict[int, SoFar]:
    """Inode -> what there is, of every file in the folder that only grows; a rotated one keeps its inode."""
    found = {}
    for name in _files(folder):
        if name.endswith(GROWING) or ROTATED.search(name):
            with (folder / name).open("rb") as file:
                known = os.fstat(file.fileno())
                found[known.st_ino] = SoFar(known.st_size, file.read(min(known.st_size, HEAD_BYTES)))
    return found


def copy_since(folder: Path, before: Mapping[int, SoFar], into: Path) -> None:
    """What files have beyond `before`; whole: those that were not there, have shrunk, or do not grow.

    A rotated piece to which nothing was added is of earlier runs alone and left out. A file that cannot be copied, as
    on a full disk, is left out, too: it is evidence, and the run has its result without it.
    """
    for name in _files(folder):
        with suppress(OSError), (folder / name).open("rb") as file:
            start = _start(file, before)
            if start and ROTATED.search(name) and start == os.fstat(file.fileno()).st_size:
                continue
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.seek(start)
            with target.open("wb") as copy:
                shutil.copyfileobj(file, copy)


def _start(file: BinaryIO, before: Mapping[int, SoFar]) -> int:
    now = os.fstat(file.fileno())
    known = before.get(now.st_ino)
    if known is None or known.size_bytes > now.st_size or file.read(len(known.head)) != known.head:
        return 0
    return known.size_bytes


def _files(folder: Path) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(NOT_KEPT)]
        for name in names:
            path = Path(base) / name
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder))
