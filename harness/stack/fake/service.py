"""The fake stack's replicas themselves: their own faults, and what a look at them sees, as a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.fake.links import GOOD
from harness.stack.fake.target import LOAD_S, PLACES, FakeReplica, FakeTarget
from harness.stack.links import Ask, Look, Seen
from harness.stack.service import PLACES as PLACES_METRIC
from harness.stack.service import RUNNING, WAITING, Usage

__all__ = ["FakeService"]

RESIDENT_MB = 400.0
SPARE_MB = 100_000.0
SPIN_SHARE = 1.0
ROLE, PIECE, DONE = b'data: {"role"}\n\n', b'data: {"text"}\n\n', b"data: [DONE]\n\n"
PIECES = 4  # of a whole answer
LAST_CHUNK = b"0\r\n\r\n"


class FakeService:
    """`target` is the script, advanced to now."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target

    def begin(self, process: TargetProcess, fault: str, parameters: Mapping[str, int | float]) -> None:
        if self._current(process) is not None:
            self._target().begin_fault(process.replica, fault, parameters)

    def end(self, process: TargetProcess, fault: str) -> None:
        if self._current(process) is not None:
            self._target().end_fault(process.replica, fault)

    def has(self, process: TargetProcess, fault: str) -> bool:
        replica = self._current(process)
        return replica is not None and fault in replica.faults

    def inverse(self, process: TargetProcess, fault: str) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "fault": fault})

    def start_with(self, replica: str, options: Sequence[str]) -> None:
        self._target().start_with(replica, options)

    def starts_with(self, replica: str) -> tuple[str, ...]:
        return self._target().replicas[replica].start_options

    def start_inverse(self, replica: str) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "replica": replica})

    def look(self, replica: str, ask: Ask) -> Look:
        found = self._target().replicas[replica]
        if found.status == "dead":
            return _Over(Seen(connected=False, refused=True))
        if found.status == "paused":
            return _Over(Seen(connected=True))
        return _Over(_chat(found) if ask.stream else _page(found, ask.page))

    def load_s(self, replica: str) -> float | None:
        return LOAD_S if self._target().replicas[replica].status == "up" else None

    def usage(self, process: TargetProcess) -> Usage | None:
        replica, now_s = self._current(process), self._target().now_s
        if replica is None:
            return None
        cpu_s = SPIN_SHARE * (now_s - replica.faults_since_s["spin"]) if "spin" in replica.faults else 0.0
        leaked_mb = replica.faults.get("leak_memory", {}).get("mb", 0)
        members = frozenset({(replica.pid, 1), (-replica.pid, 1)})  # server and engine
        return Usage(now_s - replica.started_s, cpu_s, RESIDENT_MB + leaked_mb, members)

    def spare_mb(self) -> float:
        return SPARE_MB

    def _current(self, process: TargetProcess) -> FakeReplica | None:
        """The replica, if that very process is its own."""
        replica = self._target().replicas[process.replica]
        return replica if replica.pid == process.pid and replica.status != "dead" else None


@dataclass(frozen=True)
class _Over:
    """A look that is over at once."""

    what: Seen

    def seen(self) -> Seen:
        return self.what


def _chat(replica: FakeReplica) -> Seen:
    if replica.status == "loading":
        return replace(GOOD, status=503, answered=False)
    if replica.silent:
        return Seen(connected=True)
    if (stalled := replica.faults.get("stall_stream")) is not None:
        pieces = PIECE * int(stalled["events"])
        return replace(GOOD, data=ROLE + pieces, answered=False, closed_s=None)
    if (cut := replica.faults.get("truncate_stream")) is not None:
        return replace(GOOD, data=ROLE + PIECE * int(cut["events"]) + LAST_CHUNK, answered=False)
    return replace(GOOD, data=ROLE + PIECE * PIECES + DONE + LAST_CHUNK)


def _page(replica: FakeReplica, page: str) -> Seen:
    if page == "/ready" and replica.status == "loading" and not replica.early:
        return replace(GOOD, status=503)
    if page != "/metrics":
        return GOOD
    numbers = {WAITING: int(replica.silent), RUNNING: 0 if replica.silent else 1, PLACES_METRIC: PLACES}
    return replace(GOOD, data="".join(f"{name} {value}\n" for name, value in numbers.items()).encode())
