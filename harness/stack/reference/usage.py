"""What a process and its descendants have used of the host, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from harness.stack.owned import ProcessId, identify
from harness.stack.service import Usage

__all__ = ["spare_mb", "usage_of"]

MIB = 2**20
CPU_FIELDS = slice(11, 13)  # of /proc/PID/stat after the command name: utime and stime, in clock ticks
PARENT_FIELD, STARTED_FIELD = 1, 19


def usage_of(process: ProcessId, proc: Path = Path("/proc")) -> Usage | None:
    """None when that very process has gone. A child that has ended no longer counts."""
    if identify(process.pid) != process:
        return None
    stats = _stats(proc)
    ticks = os.sysconf("SC_CLK_TCK")
    tree = _with_descendants(process.pid, stats)
    cpu_ticks = sum(int(part) for pid in tree for part in stats[pid][CPU_FIELDS])
    age_s = float((proc / "uptime").read_text().split()[0]) - process.started / ticks
    resident = sum(_resident_bytes(proc / str(pid)) for pid in tree)
    members = frozenset((pid, int(stats[pid][STARTED_FIELD])) for pid in tree if stats[pid][0] != "Z")
    return Usage(age_s, cpu_ticks / ticks, resident / MIB, members)


def spare_mb(proc: Path = Path("/proc")) -> float:
    """MemAvailable: what can be had without swapping."""
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _stats(proc: Path) -> dict[int, list[str]]:
    """pid -> fields of /proc/PID/stat from the state on."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
    return found


def _with_descendants(pid: int, stats: dict[int, list[str]]) -> list[int]:
    children = defaultdict(list)
    for child, fields in stats.items():
        children[int(fields[PARENT_FIELD])].append(child)
    tree = [pid] if pid in stats else []
    for member in tree:  # grows while it is walked
        tree += children[member]
    return tree


def _resident_bytes(folder: Path) -> int:
    try:
        return int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
