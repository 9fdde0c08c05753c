"""Whether replicas that have served a run are as they came up: what another run may begin on.

The same processes, engines included; no file of theirs touched; the weights and other parts that they hold undamaged;
no fault of their own acting; nothing in flight, and no answer kept. What they remember beside that, such as memory that
their allocator holds, is what a service remembers that has been up for some minutes. A replica with another process
than before, whose files are untouched, is as it came up when it has been started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.record.clock import Clock
from harness.stack.base import TargetProcess, Weights
from harness.stack.http_get import get_json
from harness.stack.owned import ProcessId
from harness.stack.reference.usage import usage_of
from harness.stack.service import RUNNING, WAITING, metric

__all__ = ["Fingerprint", "Members", "fingerprint", "members_of", "renewed", "still_busy", "what_differs"]

ANSWER_WITHIN_S = 0.8
CACHED = ("target_cache_hits", "target_cache_misses")


Members = frozenset[tuple[int, int]]  # (pid, start) of a replica's processes, engines included


@dataclass(frozen=True)
class Fingerprint:
    """Of all replicas, by name. `files`: path -> what changes with it."""

    members: Mapping[str, Members]
    files: Mapping[str, tuple[int, int, int]]
    parts: Mapping[str, Mapping[str, str]]  # replica -> digests of what it made of its other files


def fingerprint(
    processes: Mapping[str, TargetProcess | None],
    folders: Iterable[Path],
    parts_of: Callable[[str], Mapping[str, str]],
    since: Fingerprint | None = None,
) -> Fingerprint:
    """Of replicas that are up. `folders`: all that their next start would read.

    Only processes that were there `since` are asked for their parts: one with a dead engine would let us wait.
    """
    members = members_of(processes)
    files = {str(path): _stamp(path) for folder in folders for path in folder.rglob("*")}
    asked = [name for name in processes if since is None or members[name] == since.members[name]]
    return Fingerprint(members, files, {name: parts_of(name) for name in asked})


def members_of(processes: Mapping[str, TargetProcess | None]) -> dict[str, Members]:
    """Of replicas; none where a replica is down."""
    found: dict[str, Members] = {}
    for name, process in processes.items():
        usage = None if process is None else usage_of(ProcessId(process.pid, process.started))
        found[name] = frozenset() if usage is None else usage.members
    return found


def renewed(before: Fingerprint, now: Fingerprint) -> tuple[str, ...]:
    """Replicas that are up, and not by the same processes."""
    return tuple(name for name, members in before.members.items() if now.members[name] not in (frozenset(), members))


def what_differs(before: Fingerprint, now: Fingerprint, weights_of: Callable[[str], Weights]) -> str | None:
    """Beside replicas that are `renewed`, in words; None: nothing."""
    for name, members in before.members.items():
        if not now.members[name]:
            return f"{name} is down"
        if now.members[name] != members:
            continue
        if now.parts[name] != before.parts[name]:
            return f"{name} holds another configuration or tokenizer"
        if (weights := weights_of(name)).altered is not False:
            return f"{name} may hold altered weights ({weights.source})"
    for path in sorted({*before.files, *now.files}):
        if before.files.get(path) != now.files.get(path):
            return f"{path} was touched"
    return None


def still_busy(name: str, url: str, active: Iterable[str], clock: Clock) -> str | None:
    """What a replica has left of the run that is over, in words; None: nothing. `active`: faults that act."""
    acting = sorted(active)
    if acting:
        return f"{name} still has the fault {acting[0]}"
    ready = get_json(f"{url}/ready", clock=clock, total_s=ANSWER_WITHIN_S)
    if ready is None or ready.status != 200:
        return f"{name} is not ready"
    said = get_json(f"{url}/metrics", clock=clock, total_s=ANSWER_WITHIN_S)
    if said is None or said.status != 200:
        return f"{name} does not say what it is doing"
    if any(metric(said.data, one) != 0 for one in (RUNNING, WAITING)):
        return f"{name} is still working"
    if any((metric(said.data, one) or 0) > 0 for one in CACHED):
        return f"{name} keeps answers"
    return None


def _stamp(path: Path) -> tuple[int, int, int]:
    """The time of change is the kernel's own: nobody can touch a file, put it back and leave no trace."""
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_ctime_ns
