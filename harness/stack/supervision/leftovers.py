"""What a dead server leaves behind: children that live on, shared memory, sockets, and a port that is not free yet.

A server that was killed cleans nothing up. Its orphans keep memory and port, so the next start fails; its shared memory
stays until the host is restarted. Only what is this run's is touched: orphans carry the run's label and the program's
name in their environment, and a file is removed only when a process of that program was seen to hold it, it is no older
than that process, nobody that lives holds it now, and it belongs to our user.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from harness.model.errors import BlastRadiusError
from harness.record.clock import Clock
from harness.stack.owned import ProcessId, identify, owned_processes, process_state, send_signal

__all__ = ["Leftovers", "port_is_free", "shared_memory_in", "sockets_in", "wait_for_port"]

SHARED_MEMORY = "/dev/shm/"  # noqa: S108  the kernel's, not a temporary folder of ours
SHARED = re.compile(rf"{re.escape(SHARED_MEMORY)}\S.*$")
GONE_WITHIN_S = 1.0
LOOK_EVERY_S = 0.02


def shared_memory_in(maps: str) -> set[str]:
    """Files of shared memory in the text of /proc/PID/maps; those already removed are nobody's to remove."""
    found = (SHARED.search(line) for line in maps.splitlines())
    return {match[0] for match in found if match is not None and not match[0].endswith(" (deleted)")}


def sockets_in(net_unix: str, inodes: set[str]) -> set[str]:
    """Paths in the text of /proc/net/unix that belong to sockets with these inodes."""
    rows = (line.split(maxsplit=7) for line in net_unix.splitlines()[1:])
    return {row[7] for row in rows if len(row) == 8 and row[6] in inodes and row[7].startswith("/")}


class Leftovers:
    """Remembers what each program's processes held, since nobody can ask a dead one."""

    def __init__(self, run_id: str, clock: Clock) -> None:
        self._run_id = run_id
        self._clock = clock
        self._held: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)  # path -> device, inode

    def look(self, program: str, pid: int) -> None:
        """Take down which files a program's process and its children hold now; what has gone is forgotten."""
        since_s = _begin_wall_s(pid)
        if since_s is None:
            return
        known = {path: identity for path, identity in self._held[program].items() if os.path.lexists(path)}
        for path in _held_by_all(_with_children(pid)):
            with suppress(OSError):
                found = os.lstat(path)
                if found.st_mtime >= since_s:  # an older file is somebody else's, which it reads
                    known[path] = found.st_dev, found.st_ino
        self._held[program] = known

    def kill_orphans(self, program: str, is_down: Callable[[], bool]) -> list[int]:
        """Kill what the dead server's children are; `is_down` guards against one that was started meanwhile."""
        found = list(owned_processes(self._run_id, f"SUPERVISOR_PROCESS_NAME={program}"))
        if not found or not is_down():
            return []
        killed = [process for process in found if self._kill(process)]
        until_s = self._clock.now() + GONE_WITHIN_S
        while any(process_state(one) not in (None, "Z") for one in killed) and self._clock.now() < until_s:
            self._clock.sleep(LOOK_EVERY_S)
        return [process.pid for process in killed]

    def remove_files(self, program: str) -> list[str]:
        """Remove what the dead server alone held; the paths that were removed."""
        held = self._held.pop(program, {})
        ours = {path for path, identity in held.items() if _is_ours(path, identity)}
        if not ours:
            return []
        removed = []
        everybody = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        for path in sorted(ours - _held_by_all(everybody)):
            with suppress(OSError):
                os.unlink(path)
                removed.append(path)
        return removed

    def _kill(self, process: ProcessId) -> bool:
        try:
            return send_signal(process, signal.SIGKILL, self._run_id)
        except (BlastRadiusError, PermissionError):
            return False


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now; connections of the dead one that linger do not keep it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for_port(port: int, within_s: float, clock: Clock) -> bool:
    """Wait until a server could listen there; False: not within the limit."""
    deadline_s = clock.now() + within_s
    while not port_is_free(port):
        if clock.now() >= deadline_s:
            return False
        clock.sleep(LOOK_EVERY_S)
    return True


def _begin_wall_s(pid: int) -> float | None:
    """When a process began, on the clock of file times, a second early at most; None: it has gone."""
    process = identify(pid)
    with suppress(OSError):
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        if process is not None:
            return int(boot.split()[1]) + process.started / os.sysconf("SC_CLK_TCK") - 1.0
    return None


def _with_children(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from _with_children(int(child))


def _held_by(pid: int) -> set[str]:
    """Shared memory and bound sockets of one process; empty when it has gone or is not ours to look at."""
    paths, inodes = set(), set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = os.readlink(entry)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
                elif target.startswith(SHARED_MEMORY) and not target.endswith(" (deleted)"):
                    paths.add(target)
        paths |= shared_memory_in(Path(f"/proc/{pid}/maps").read_text(errors="replace"))
        if inodes:
            paths |= sockets_in(Path(f"/proc/{pid}/net/unix").read_text(errors="replace"), inodes)
    return paths


def _held_by_all(pids: Iterable[int]) -> set[str]:
    return {path for pid in pids for path in _held_by(pid)}


def _is_ours(path: str, identity: tuple[int, int]) -> bool:
    """Whether it is the very file that was seen, and our user's."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    plain = stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode)
    return plain and (found.st_dev, found.st_ino) == identity and found.st_uid == os.getuid()
