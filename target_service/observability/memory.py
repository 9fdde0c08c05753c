"""How much memory a process, the process's control group and the machine use. Linux; what cannot be read is None."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GroupMemory", "group_memory", "resident_bytes", "system_memory_share"]

# What version 1 says where no limit is set: the largest signed 64-bit number, in whole pages.
NO_LIMIT_BYTES = 2**62


@dataclass(frozen=True)
class GroupMemory:
    """Of the process's control group; `limit_bytes` None: there is none."""

    used_bytes: int
    limit_bytes: int | None


def group_memory(root: Path = Path("/")) -> GroupMemory | None:
    """Read version 2, else version 1 (kernel documentation, cgroup-v2.rst and cgroup-v1/memory.rst)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    # Lines are NUMBER:CONTROLLERS:PATH; version 2 has number 0 and no controllers.
    mount = root / "sys/fs/cgroup"
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers == "":
            found = _read(mount, path, "memory.current", "memory.max")
        elif "memory" in controllers.split(","):
            found = _read(mount / "memory", path, "memory.usage_in_bytes", "memory.limit_in_bytes")
        else:
            continue
        if found is not None:
            return found
    return None


def _read(mount: Path, path: str, used: str, limit: str) -> GroupMemory | None:
    # In a container the group is mounted as the root, though its path says otherwise.
    for folder in (mount / path.lstrip("/"), mount):
        try:
            used_bytes, limit_text = int((folder / used).read_text()), (folder / limit).read_text().strip()
        except (OSError, ValueError):
            continue
        limit_bytes = int(limit_text) if limit_text.isdecimal() else NO_LIMIT_BYTES
        return GroupMemory(used_bytes, limit_bytes if limit_bytes < NO_LIMIT_BYTES else None)
    return None


def resident_bytes(pid: int, root: Path = Path("/")) -> int | None:
    """The resident set of a process (proc(5), statm); None once it has ended, which is not the same as none used."""
    try:
        pages = int((root / "proc" / str(pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") or None  # a process that nobody has waited for yet says 0


def system_memory_share(root: Path = Path("/")) -> float | None:
    """The share of the machine's memory that is in use, from 0 to 1."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        kib = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
        return 1 - kib["MemAvailable"] / kib["MemTotal"]
    except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return None
