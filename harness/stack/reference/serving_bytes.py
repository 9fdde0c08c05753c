"""Which weights a process really serves: the bytes it has mapped, read from its memory.

A loader that maps the weights file serves a live view of it, so the file's content, its path, even its existence say
little: it may have been moved, deleted or restored since. What counts are the pages that the process sees.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mapping", "altered_mapping", "mapped_weights", "parse_maps", "pristine_file"]

CHUNK_BYTES = 1 << 20
WEIGHTS_SUFFIX = ".safetensors"
MAPS_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+)\s+(.*)$")


@dataclass(frozen=True)
class Mapping:
    """A stretch of a process's memory that shows a file."""

    begin: int  # address, bytes
    end: int
    offset: int  # into the file, bytes
    path: str  # as the kernel names it now; " (deleted)" at the end when no name is left


def parse_maps(text: str) -> list[Mapping]:
    """The mappings of files in /proc/PID/maps."""
    found = []
    for line in text.splitlines():
        match = MAPS_LINE.match(line)
        if match and match[6].startswith("/"):
            found.append(Mapping(int(match[1], 16), int(match[2], 16), int(match[4], 16), match[6]))
    return found


def mapped_weights(pid: int) -> list[Mapping]:
    """Mappings of weights files, wherever those have been moved. Empty when there are none, or no such process."""
    try:
        maps = parse_maps(Path(f"/proc/{pid}/maps").read_text())
    except OSError:
        return []
    return [mapping for mapping in maps if WEIGHTS_SUFFIX in Path(mapping.path).name]


def altered_mapping(pid: int, mappings: Sequence[Mapping], pristine: Path) -> bool:
    """Whether any mapped byte differs from the same place in the pristine folder's file of that name.

    Raises PermissionError when the memory may not be read, and ProcessLookupError when the process has gone.
    """
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    try:
        return any(_differs(memory, mapping, pristine_file(mapping.path, pristine)) for mapping in mappings)
    finally:
        os.close(memory)


def pristine_file(path: str, folder: Path) -> Path | None:
    """The pristine file that a mapped one was copied from; a moved file may have got a suffix. None: not a copy."""
    name = Path(path).name
    originals = [file for file in folder.rglob(f"*{WEIGHTS_SUFFIX}") if name.startswith(file.name)]
    return max(originals, key=lambda file: len(file.name), default=None)


def _differs(memory: int, mapping: Mapping, original: Path | None) -> bool:
    if original is None:
        return True
    length = min(mapping.end - mapping.begin, original.stat().st_size - mapping.offset)
    if length <= 0:
        return False  # padding behind the file's last byte
    seen = _digest_of_memory(memory, mapping.begin, length)
    return seen is None or seen != _digest_of_file(original, mapping.offset, length)


def _digest_of_memory(memory: int, begin: int, length: int) -> bytes | None:
    """SHA-256 of what the process sees; None: pages without a file behind them, where it would die of SIGBUS."""
    digest = hashlib.sha256()
    for position in range(begin, begin + length, CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, begin + length - position)
        try:
            chunk = os.pread(memory, wanted, position)
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise
        if not chunk:
            raise ProcessLookupError("its memory has gone")  # read gives 0 bytes once the process has exited
        if len(chunk) < wanted:
            return None
        digest.update(chunk)
    return digest.digest()


def _digest_of_file(path: Path, offset: int, length: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(offset)
        while length > 0:
            chunk = file.read(min(CHUNK_BYTES, length))
            if not chunk:
                break
            digest.update(chunk)
            length -= len(chunk)
    return digest.digest()
