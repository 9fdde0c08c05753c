"""The helper that a fault puts into a container, sent there as text: it takes something and keeps it until told to end.

`python3 -c TEXT WHAT PID STARTED FOR_S AMOUNT FOLDER`; see `Holding` in resources.py. It needs nothing but Python's own
library and no privilege, since it is the same user as the server. SIGTERM ends it, and its own timer; with it goes what
it holds, and what it changed of the server is put right. It dies with its container.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import sys
import time
from pathlib import Path

__all__ = ["main"]

CHUNK_BYTES = 4 * 2**20
STEP_S = 0.05
STEP_CHUNKS = 16  # so that it soon hears when it is told to end
POPULATE = 0x8000  # MAP_POPULATE of Linux: the pages are there at once, not when they are first written to
MOST_KILLABLE = 1000  # of oom_score_adj: chosen before whoever has less, whatever its size (man 5 proc)
LISTENS = "0A"  # of the states in /proc/net/tcp
ROOT = Path("/sys/fs/cgroup")
FILES = (  # limit, in use, and what the kernel can drop of it: cgroup version 1, then 2
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
)


class Until:
    """When to end: after `for_s` seconds, or when told to."""

    def __init__(self, for_s: float) -> None:
        self._end_s = time.monotonic() + for_s
        self._told = False
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def over(self, wait_s: float = 0.0) -> bool:
        """Whether it is time; waits so long first."""
        self._told = self._told or signal.sigtimedwait({signal.SIGTERM}, wait_s) is not None
        return self._told or time.monotonic() >= self._end_s


def alive(pid: int, started: int) -> bool:
    """Whether that very process is there and not merely a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and int(fields[19]) == started


def take(chunks: list[mmap.mmap], more: int) -> None:
    """Memory that is really there."""
    for _ in range(more):
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | POPULATE
        chunks.append(mmap.mmap(-1, CHUNK_BYTES, flags=flags))


def provoke_oom(pid: int, started: int, until: Until, most_bytes: float) -> None:
    """Take memory until the kernel has killed the server, which is made the one to choose."""
    score = Path(f"/proc/{pid}/oom_score_adj")
    before = score.read_text()
    score.write_text(str(MOST_KILLABLE))
    chunks: list[mmap.mmap] = []
    try:
        while alive(pid, started) and not until.over() and len(chunks) * CHUNK_BYTES <= most_bytes:
            take(chunks, 1)
        while alive(pid, started) and not until.over(STEP_S):
            pass
    finally:
        if alive(pid, started):
            score.write_text(before)


def hold_memory(share: float, until: Until) -> None:
    """Keep the working set of this container at a share of its limit."""
    chunks: list[mmap.mmap] = []
    names = next(names for names in FILES if (ROOT / names[0]).exists())
    while not until.over(STEP_S):
        limit, used = (int((ROOT / name).read_text()) for name in names[:2])
        stat = dict(line.split() for line in (ROOT / names[2]).read_text().splitlines())
        missing = int((share * limit - used + int(stat[names[3]])) // CHUNK_BYTES)
        take(chunks, min(missing, STEP_CHUNKS))
        for _ in range(min(-missing - 1, len(chunks))):
            chunks.pop().close()


def fill(folder: str, until: Until) -> None:
    """Take all room of a volume, also what becomes free, in a file that has no name and so ends with this process."""
    path = os.path.join(folder, f".harness-{os.getpid()}")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    size = 0
    while True:
        room = os.fstatvfs(file)
        free = room.f_bavail * room.f_frsize
        try:
            if free:
                os.posix_fallocate(file, size, free)
                size += free
        except OSError:
            pass  # somebody else was faster; the rest is taken with the next look
        if until.over(STEP_S):
            return


def accepted(pid: int) -> list[int]:
    """The descriptors of connections that others have opened to the process."""
    tables = [path for path in (Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")) if path.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    ports = {row[1].rpartition(":")[2] for row in rows if row[3] == LISTENS}
    theirs = {f"socket:[{row[9]}]" for row in rows if row[3] != LISTENS and row[1].rpartition(":")[2] in ports}
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd") if link_of(f"/proc/{pid}/fd/{name}") in theirs]


def link_of(path: str) -> str:
    """Where a link leads; nowhere when it has just gone."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def limit_files(pid: int, started: int, until: Until, spare: int) -> None:
    """Let the server have no more descriptors than it has, and `spare`; what it closes meanwhile is not given back.

    With none to spare, connections that clients have now are served to their end and make no room for others either.
    """
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    lowest = before[0] if spare else min((before[0], *accepted(pid)))
    try:
        while alive(pid, started):
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            lowest = min(lowest, [number for number in range(len(used) + spare + 1) if number not in used][spare])
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
            if until.over(STEP_S):
                return
    finally:
        if alive(pid, started):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def main(arguments: list[str]) -> None:
    """Hold what is asked for."""
    what, pid, started, for_s, amount, folder = arguments
    until = Until(float(for_s))
    if what == "oom":
        provoke_oom(int(pid), int(started), until, float(amount))
    elif what == "memory":
        hold_memory(float(amount), until)
    elif what == "fill":
        fill(folder, until)
    elif what == "files":
        limit_files(int(pid), int(started), until, int(float(amount)))


if __name__ == "__main__":
    main(sys.argv[1:])
