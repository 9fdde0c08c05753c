"""What the fake stack's replicas have for themselves, as a script: round numbers, and what each fault takes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.fake.links import GOOD, Over
from harness.stack.fake.target import SPARE_MB, FakeTarget
from harness.stack.links import Ask, Look, Seen
from harness.stack.resources import Holding, Memory, Processors, Space

__all__ = ["FakeResources"]

MIB = 2**20
LIMIT_BYTES, USED_BYTES = 1024 * MIB, (1024 - SPARE_MB) * MIB
PROCESSORS = 1.5
PERIODS_PER_S = 10
VOLUME_BYTES = 32 * MIB
FILES_OPEN, FILES_LIMIT = 40, 20_000
MODEL_BYTES = MIB


@dataclass
class _Taken:
    """Of one replica."""

    held: dict[str, tuple[int, Holding]] = field(default_factory=dict)  # tag -> (pid, what)
    processors: float = PROCESSORS
    since_s: float = 0.0  # the quota
    clock_s: float = 0.0
    read_limit: int | None = None


class FakeResources:
    """`target` is the script, advanced to now. A process that has ended holds nothing."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target
        self._of: dict[str, _Taken] = {}

    def look(self, replica: str, ask: Ask) -> Look:
        found = self._target().replicas[replica]
        if found.status == "dead":
            return Over(Seen(connected=False, refused=True))
        if self._held(replica, "files"):
            return Over(Seen(connected=True))
        return Over(replace(GOOD, status=503) if found.status == "loading" else GOOD)

    def undone(self, inverse: Inverse) -> None:
        replica, what = self._taken(inverse.args["replica"]), inverse.args["what"]
        if what == "hold":
            replica.held.pop(inverse.args["tag"], None)
        elif what == "processors":
            replica.processors = PROCESSORS
        elif what == "clock":
            replica.clock_s = 0.0
        else:
            replica.read_limit = None
            self._target().start_with(inverse.args["replica"], ())

    def memory(self, replica: str) -> Memory | None:
        if self._target().replicas[replica].status == "dead":
            return None
        share = max([one.amount for one in self._held(replica, "memory")], default=0.0)
        return Memory(LIMIT_BYTES, max(USED_BYTES, int(share * LIMIT_BYTES)), 0)

    def ooms(self, replica: str) -> tuple[int]:
        return (self._target().replicas[replica].ooms,)

    def processors(self, replica: str) -> Processors | None:
        if self._target().replicas[replica].status == "dead":
            return None
        taken, now_s = self._taken(replica), self._target().now_s
        lacking = int((now_s - taken.since_s) * PERIODS_PER_S) if taken.processors < PROCESSORS else 0
        return Processors(taken.processors, int(now_s * PERIODS_PER_S), lacking, lacking / PERIODS_PER_S)

    def space(self, process: TargetProcess, folder: str) -> Space | None:
        if self._target().current(process) is None:
            return None
        full = any(one.folder == folder for one in self._held(process.replica, "fill"))
        return Space(VOLUME_BYTES, 0 if full else VOLUME_BYTES)

    def files(self, process: TargetProcess) -> tuple[int, int] | None:
        if self._target().current(process) is None:
            return None
        spare = [int(one.amount) for one in self._held(process.replica, "files")]
        return FILES_OPEN, FILES_OPEN + min(spare) if spare else FILES_LIMIT

    def hold(self, process: TargetProcess, holding: Holding) -> None:
        replica = self._target().current(process)
        if replica is None:
            raise StackError(f"process {process.pid} of {process.replica} has ended")
        if holding.what == "oom":
            replica.ooms += 1
            self._target().end_process(process.replica, "terminated by SIGKILL")
        else:
            self._taken(process.replica).held[holding.tag] = (process.pid, holding)

    def holds(self, holding: Holding) -> bool:
        return any(holding in self._held(name, holding.what) for name in self._target().replicas)

    def hold_inverse(self, process: TargetProcess, holding: Holding) -> Inverse:
        return _inverse(process.replica, "hold", tag=holding.tag)

    def limit_processors(self, replica: str, processors: float) -> None:
        taken = self._taken(replica)
        taken.processors, taken.since_s = processors, self._target().now_s

    def processors_inverse(self, replica: str) -> Inverse:
        return _inverse(replica, "processors")

    def clock_can_jump(self, replica: str) -> str | None:
        return None

    def set_clock(self, replica: str, offset_s: float) -> None:
        self._taken(replica).clock_s = offset_s

    def clock_inverse(self, replica: str) -> Inverse:
        return _inverse(replica, "clock")

    def clock_offset_s(self, replica: str) -> float | None:
        up = self._target().replicas[replica].status == "up"
        return self._taken(replica).clock_s if up else None

    def slow_reads(self, replica: str, bytes_per_s: int) -> None:
        self._taken(replica).read_limit = bytes_per_s
        self._target().start_with(replica, ("--slow-load-s", f"{MODEL_BYTES / bytes_per_s:g}"))
        self._target().end_process(replica, "exit status 0", asked_for=True)

    def slow_reads_inverse(self, replica: str) -> Inverse:
        return _inverse(replica, "reads")

    def reads(self, replica: str) -> tuple[int, int | None] | None:
        found, limit = self._target().replicas[replica], self._taken(replica).read_limit
        if found.status == "dead":
            return None
        age_s = self._target().now_s - found.started_s
        return min(MODEL_BYTES, int(age_s * (limit or MODEL_BYTES))), limit

    def _taken(self, replica: str) -> _Taken:
        return self._of.setdefault(replica, _Taken())

    def _held(self, replica: str, what: str) -> list[Holding]:
        """What a helper holds now; it ended with the container of a process that has ended."""
        found = self._target().replicas[replica]
        alive = found.pid if found.status != "dead" else None
        return [one for pid, one in self._taken(replica).held.values() if pid == alive and one.what == what]


def _inverse(replica: str, what: str, **more: str) -> Inverse:
    args = {"because": "a scripted process ends with its run", "replica": replica, "what": what}
    return Inverse("nothing", {**args, **more})
