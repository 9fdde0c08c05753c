"""What the kernel counts for a container: memory, processors and disk of its cgroup, version 1 or 2.

Version 1 has a tree for each controller (/sys/fs/cgroup/memory/docker/ID), version 2 one for all. Which a process is in
says /proc/PID/cgroup: one line a tree, `ID:CONTROLLERS:PATH`, with no controllers for version 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.stack.resources import Memory, Processors

__all__ = ["Cgroup", "cgroup_of"]

UNLIMITED_BYTES = 2**60  # version 1 has no word for it: the largest multiple of a page that fits in 63 bits


@dataclass(frozen=True)
class Cgroup:
    """Where the files of one container's cgroup lie. A folder that has gone reads as None."""

    memory_folder: Path
    cpu_folder: Path
    blkio_folder: Path
    version: int

    def memory(self) -> Memory | None:
        """What is in use is the working set: without the cache of files that the kernel drops before it kills."""
        one = self.version == 1
        used = _number(self.memory_folder / ("memory.usage_in_bytes" if one else "memory.current"))
        limit = _text(self.memory_folder / ("memory.limit_in_bytes" if one else "memory.max"))
        stat = _table(self.memory_folder / "memory.stat")
        counters = _table(self.memory_folder / ("memory.oom_control" if one else "memory.events"))
        if used is None or limit is None or stat is None:
            return None
        droppable = stat.get("total_inactive_file" if one else "inactive_file", 0)
        bound = None if limit.strip() == "max" or int(limit) >= UNLIMITED_BYTES else int(limit)
        return Memory(bound, max(0, used - droppable), (counters or {}).get("oom_kill", 0))

    def processors(self) -> Processors | None:
        """The quota, and how often it kept somebody from going on."""
        stat = _table(self.cpu_folder / "cpu.stat")
        if stat is None:
            return None
        throttled_s = stat.get("throttled_time", 0) / 1e9 if self.version == 1 else stat.get("throttled_usec", 0) / 1e6
        return Processors(self._quota(), stat.get("nr_periods", 0), stat.get("nr_throttled", 0), throttled_s)

    def read_bytes(self, device: str) -> int | None:
        """How much was read from a block device (`MAJOR:MINOR`) by this very cgroup."""
        one = self.version == 1
        text = _text(self.blkio_folder / ("blkio.throttle.io_service_bytes" if one else "io.stat"))
        if text is None:
            return None
        if one:  # 254:0 Read 1097728
            rows = [line.split() for line in text.splitlines()]
            return sum(int(row[2]) for row in rows if len(row) == 3 and row[:2] == [device, "Read"])
        rows = [line.split() for line in text.splitlines()]  # 254:0 rbytes=1097728 wbytes=0 rios=8 ...
        fields = [field for row in rows if row and row[0] == device for field in row[1:]]
        return sum(int(field.partition("=")[2]) for field in fields if field.startswith("rbytes="))

    def read_limit(self, device: str) -> int | None:
        """Bytes a second that may be read from the device; None: no limit."""
        one = self.version == 1
        text = _text(self.blkio_folder / ("blkio.throttle.read_bps_device" if one else "io.max")) or ""
        for row in (line.split() for line in text.splitlines()):
            if row and row[0] == device:
                words = row[1:2] if one else [word[5:] for word in row[1:] if word.startswith("rbps=")]
                return int(words[0]) if words and words[0] != "max" else None
        return None

    def read_limit_order(self, device: str, bytes_per_s: int | None) -> tuple[Path, str]:
        """Which file to write, and what, so that reads are limited; None: no longer."""
        if self.version == 1:
            return self.blkio_folder / "blkio.throttle.read_bps_device", f"{device} {bytes_per_s or 0}"
        return self.blkio_folder / "io.max", f"{device} rbps={bytes_per_s or 'max'}"

    def _quota(self) -> float | None:
        if self.version == 1:
            quota, period = (
                _number(self.cpu_folder / "cpu.cfs_quota_us"),
                _number(self.cpu_folder / "cpu.cfs_period_us"),
            )
            return None if quota is None or quota < 0 or not period else quota / period
        words = (_text(self.cpu_folder / "cpu.max") or "").split()
        return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def cgroup_of(pid: int, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> Cgroup | None:
    """The cgroup of a process; None when it has gone or its files are not where they are on every Linux host."""
    text = _text(proc / str(pid) / "cgroup")
    if text is None:
        return None
    trees = dict(_trees(text))
    if "memory" in trees:
        folders = [root / name / trees.get(name, "").lstrip("/") for name in ("memory", "cpu", "blkio")]
        found = Cgroup(folders[0], folders[1], folders[2], 1)
    else:
        folder = root / trees.get("", "").lstrip("/")
        found = Cgroup(folder, folder, folder, 2)
    return found if found.memory_folder.is_dir() else None


def _trees(text: str) -> list[tuple[str, str]]:
    """(controller, path) of each line; several controllers may share a tree."""
    rows = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    return [(name, path) for _, names, path in rows for name in names.split(",")]


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:  # it ends with its container, and a controller may be off
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return None if text is None else int(text)


def _table(path: Path) -> Mapping[str, int] | None:
    """Lines of a word and a number."""
    text = _text(path)
    if text is None:
        return None
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].lstrip("-").isdigit()}
