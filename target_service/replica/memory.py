"""How much memory a replica uses: of its processes from /proc, of its cgroup from the cgroup's files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cgroup", "find_cgroup", "kept_bytes"]

ROOT = Path("/")
UNLIMITED_BYTES = 2**60  # version 1 writes a number near 2**63 for no limit


@dataclass(frozen=True)
class Cgroup:
    """A memory cgroup with a limit. `usage_bytes` is what counts against it and could not be dropped (working set)."""

    folder: Path
    version: int
    limit_bytes: int

    def usage_bytes(self) -> int:
        """Usage without the page cache that the kernel would drop first, as kubelet counts it; raises OSError."""
        usage = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        inactive = "inactive_file" if self.version == 2 else "total_inactive_file"
        used = int((self.folder / usage).read_text())
        for line in (self.folder / "memory.stat").read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == inactive:
                return max(0, used - int(value))
        return used


def find_cgroup(root: Path = ROOT) -> Cgroup | None:
    """The innermost memory cgroup of this process that has a limit; None without one."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            found = _limited(root / "sys/fs/cgroup", path, 2, "memory.max")
        elif "memory" in controllers.split(","):
            found = _limited(root / "sys/fs/cgroup/memory", path, 1, "memory.limit_in_bytes")
        else:
            continue
        if found is not None:
            return found
    return None


def _limited(mount: Path, path: str, version: int, limit: str) -> Cgroup | None:
    folder = mount / path.lstrip("/")
    # Inside a container the path may be the host's: then the mount itself is the container's group.
    for candidate in (folder, *[parent for parent in folder.parents if parent.is_relative_to(mount)]):
        try:
            limit_bytes = int((candidate / limit).read_text())
        except (OSError, ValueError):  # no such group here, or "max"
            continue
        if limit_bytes < UNLIMITED_BYTES:
            return Cgroup(candidate, version, limit_bytes)
    return None


def kept_bytes(pids: Iterable[int], root: Path = ROOT) -> int:
    """Memory of processes that the kernel cannot take back: anonymous and shared, without mapped files."""
    return sum(_kept_bytes(root / "proc" / str(pid) / "status") for pid in pids)


def _kept_bytes(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0  # it has just ended
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
