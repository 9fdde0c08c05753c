"""What the processes of a run use while it lasts, and how its disk fills: the samples from which ageing is told.

One look takes a few milliseconds, on the harness's own tick; there is one every two seconds at first, later one in a
thousandth of the time that has passed, so that a day of them is a few megabytes. A disk that is full ends the sampling,
never the run.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.load.progress import Progress
from harness.record.append import AppendLog
from harness.session import Watcher
from harness.stack.reference.usage import spare_mb

__all__ = ["PROMETHEUS", "USE", "UseWatch"]

USE = "use.jsonl"  # in the stack's folder of a run: target and harness alike
EVERY_S = 2.0
SPREAD = 1000.0
MIB = 2**20
_PAGE = os.sysconf("SC_PAGE_SIZE")
PROMETHEUS = "prometheus"  # grows for hours until it first compacts, which is not the harness's own memory
_NOT_LOGS = {PROMETHEUS, "private", "private-gateway"}  # folders of the stack that the target does not write


class UseWatch:
    """Looks at this process's family, by name, while a run goes on. `folder`: the run's."""

    def __init__(self, folder: Path, proc: Path = Path("/proc")) -> None:
        self._stack = folder / "stack"
        self._proc = proc
        self._log: AppendLog | None = None
        self._due_s = 0.0
        self._fd_limits: dict[int, int | None] = {}

    def beside(self, watcher: Watcher) -> Watcher:
        """The same watcher, with a look now and then."""

        def on_progress(progress: Progress, now_s: float) -> None:
            self.look(now_s)
            watcher.on_progress(progress, now_s)

        return Watcher(watcher.on_event, on_progress, watcher.on_waiting, watcher.interrupted)

    def look(self, now_s: float) -> None:
        """Write a line if one is due; `now_s`: seconds from the run's origin."""
        if now_s < self._due_s or not self._stack.is_dir():
            return
        self._due_s = now_s + max(EVERY_S, now_s / SPREAD)
        try:
            self._log = self._log or AppendLog(self._stack / USE)
            self._log.write({"at_s": round(now_s, 3), **self._seen()})
        except OSError:
            self._due_s = float("inf")

    def close(self) -> None:
        """Give the file back."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _seen(self) -> dict[str, Any]:
        return {
            "processes": self._family(),
            "target_disk_mb": round(_size_of(self._stack) / MIB, 4),
            "free_mb": round(shutil.disk_usage(self._stack).free / MIB, 1),
            "available_mb": round(spare_mb(self._proc), 1),
        }

    def _family(self) -> dict[str, list[Any]]:
        """Name -> who it is (changes with every restart), resident MB, open descriptors and their limit.

        What has no name of its own, such as the engine of a replica, counts with who started it.
        """
        of_parent = _children(self._proc)
        found: dict[str, list[Any]] = {}
        todo: list[tuple[int, str]] = [(os.getpid(), "harness")]
        for pid, name in todo:  # grows while it is walked
            mine = _use(self._proc / str(pid))
            if mine is not None:
                one = found.setdefault(name, [0, 0.0, 0, self._fd_limit(pid)])
                one[0], one[1], one[2] = one[0] + pid, round(one[1] + mine[0], 3), max(one[2], mine[1])
            todo += [(child, _name(self._proc / str(child)) or name) for child in of_parent.get(pid, ())]
        return found

    def _fd_limit(self, pid: int) -> int | None:
        if pid not in self._fd_limits:
            self._fd_limits[pid] = _fd_limit(self._proc / str(pid))
        return self._fd_limits[pid]


def _children(proc: Path) -> Mapping[int, Sequence[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for entry in os.scandir(proc):
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):  # it has just ended
                found[int((proc / entry.name / "stat").read_text().rpartition(")")[2].split()[1])].append(
                    int(entry.name)
                )
    return found


def _name(process: Path) -> str | None:
    """`primary` for `python -m target_service.replica --name primary`, `toxics` for `python -m harness.toxics`."""
    try:
        words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    if Path(words[0]).name == PROMETHEUS:
        return PROMETHEUS
    if "-m" not in words[:-1]:
        return None
    if "--name" in words[:-1]:
        return words[words.index("--name") + 1]
    return words[words.index("-m") + 1].rpartition(".")[2]


def _use(process: Path) -> tuple[float, int] | None:
    """Resident MB and open descriptors; None: it has gone."""
    try:
        resident = int((process / "statm").read_text().split()[1]) * _PAGE / MIB
        return resident, len(os.listdir(process / "fd"))
    except (OSError, IndexError):
        return None


def _fd_limit(process: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (process / "limits").read_text().splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    return None


def _size_of(folder: Path) -> int:
    """Bytes of all files below, but for what is not the target's."""
    total = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_LOGS]
        for name in files:
            with suppress(OSError):
                total += 0 if name == USE else (Path(place) / name).lstat().st_size
    return total
