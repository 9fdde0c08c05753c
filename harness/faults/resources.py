"""Faults of what else a container has for itself: processors, room on volumes, descriptors, the speed of its disk."""

from __future__ import annotations

from typing import TypeVar

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.faults.holding import HoldingFault
from harness.model.errors import StackError
from harness.model.fault import Fault
from harness.model.resource_faults import ResourcesCpu, ResourcesDiskFull, ResourcesFd, StorageSlow
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.links import Ask, Look
from harness.stack.resources import Holding, Processors, Space

__all__ = ["FilesLimited", "ProcessorsLimited", "ReadsSlow", "ShmFull", "VolumeFull"]

PERIODS_MIN = 5  # of 100 ms, in which the quota was used up
BLOCK_BYTES = 4096
KIB = 1024
UNANSWERED_S = 1.0
Parameters = TypeVar("Parameters", bound=Fault)


class VolumeFull(HoldingFault):
    """All room of a volume that the replica writes to is taken."""

    before: Space

    @property
    def folder(self) -> str:
        """Where the server process sees the volume."""
        assert isinstance(self.fault, ResourcesDiskFull)
        return f"/{self.fault.volume}"

    def wanted(self, tag: str) -> Holding:
        before = self.resources.space(self.victim, self.folder)
        if before is None:
            raise CannotInject(f"{self.folder} is no volume of its own in the container of {self.fault.on}")
        if before.free_bytes < BLOCK_BYTES:
            raise CannotInject(f"{self.folder} of {self.fault.on} is full already")
        self.before = before
        return Holding(tag, "fill", self.fault.lasts_s, folder=self.folder)

    def proof(self) -> Proof | None:
        now = self.resources.space(self.victim, self.folder)
        if self.over or now is None or now.free_bytes >= BLOCK_BYTES:
            return None
        was = f"{self.before.free_bytes // KIB} of {now.size_bytes // KIB} KiB were"
        return Proof(True, f"process {self.victim.pid} sees {now.free_bytes} bytes free at {self.folder}; {was} before")

    def given_back(self) -> bool:
        now = self.resources.space(self.victim, self.folder)
        return now is not None and now.free_bytes >= BLOCK_BYTES


class ShmFull(VolumeFull):
    """The same of /dev/shm."""

    @property
    def folder(self) -> str:
        return "/dev/shm"  # noqa: S108  in the container


class FilesLimited(HoldingFault):
    """The server may have no more descriptors than it has."""

    limit = 0
    _look: Look | None = None

    def wanted(self, tag: str) -> Holding:
        before = self.resources.files(self.victim)
        if before is None:
            raise CannotInject(f"the descriptors of process {self.victim.pid} cannot be seen; only root may look")
        self.limit = before[1]
        return Holding(tag, "files", self.fault.lasts_s, float(self.parameters(ResourcesFd).spare))

    def proof(self) -> Proof | None:
        """The limit, and a new connection that gets no answer; with some to spare the limit has to do."""
        now = self.resources.files(self.victim)
        if self.over or now is None or now[1] >= self.limit:
            return None
        words = f"process {self.victim.pid} has {now[0]} descriptors and may have {now[1]}, before {self.limit}"
        if self.parameters(ResourcesFd).spare:
            return Proof(True, words)
        if self._look is None:
            self._look = self.resources.look(self.fault.on, Ask(page="/version", limit_s=UNANSWERED_S))
        seen = self._look.seen()
        if seen is None:
            return None
        self._look = None
        return None if seen.answered else Proof(True, f"{words}; a new connection to it got no answer")

    def given_back(self) -> bool:
        now = self.resources.files(self.victim)
        return now is not None and now[1] == self.limit


class ProcessorsLimited(ActiveFault):
    """The quota of the container."""

    before: Processors
    since: Processors
    _inverse: Inverse

    def prepare(self) -> Inverse:
        before = self.stack.resources.processors(self.fault.on)
        if before is None:
            raise CannotInject(f"the processors of {self.fault.on} cannot be seen: its cgroup is not on this host")
        if before.limit is not None and before.limit <= self.wanted:
            raise CannotInject(f"{self.fault.on} may use no more than {before.limit:g} processors anyway")
        self.before = self.since = before
        try:
            self._inverse = self.stack.resources.processors_inverse(self.fault.on)
        except StackError as error:
            raise CannotInject(str(error)) from error
        return self._inverse

    @property
    def wanted(self) -> float:
        """How many it is left."""
        assert isinstance(self.fault, ResourcesCpu)
        return self.fault.processors

    def apply(self) -> None:
        try:
            self.stack.resources.limit_processors(self.fault.on, self.wanted)
        except StackError as error:
            raise CannotInject(str(error)) from error
        self.since = self.stack.resources.processors(self.fault.on) or self.before

    def proof(self) -> Proof | None:
        now = self.stack.resources.processors(self.fault.on)
        if now is None or not _alike(now.limit, self.wanted):
            return None
        if now.periods < self.since.periods:  # another container's cgroup, which has counted from its own begin
            self.since = Processors(now.limit, 0, 0, 0.0)
        throttled, periods = now.throttled - self.since.throttled, now.periods - self.since.periods
        if throttled < PERIODS_MIN:
            return None
        before = "all" if self.before.limit is None else f"{self.before.limit:g}"
        return Proof(
            True,
            f"{self.fault.on} may use {now.limit:g} processors, before {before}; its quota was used up in {throttled} "
            f"of {periods} periods, and it was kept waiting for {now.throttled_s - self.since.throttled_s:.1f} s",
        )

    def lost(self) -> str | None:
        now = self.stack.resources.processors(self.fault.on)
        if now is None or _alike(now.limit, self.wanted):
            return None
        return f"the quota of {self.fault.on} was changed by somebody else"

    def after_inverse(self) -> None:
        self.stack.resources.undone(self._inverse)

    def healed(self) -> bool:
        now = self.stack.resources.processors(self.fault.on)
        return now is not None and _alike(now.limit, self.before.limit)


class ReadsSlow(ActiveFault):
    """A limit on what the container reads from the disk with its model, from a restart on."""

    victim: TargetProcess
    _inverse: Inverse
    _ready: Look | None = None

    def prepare(self) -> Inverse:
        found = self.stack.process(self.fault.on)
        if found is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.victim = found
        try:
            self._inverse = self.stack.resources.slow_reads_inverse(self.fault.on)
        except StackError as error:
            raise CannotInject(str(error)) from error
        return self._inverse

    @property
    def bytes_per_s(self) -> int:
        """What it may read."""
        assert isinstance(self.fault, StorageSlow)
        return self.fault.kb_per_s * KIB

    def apply(self) -> None:
        try:
            self.stack.resources.slow_reads(self.fault.on, self.bytes_per_s)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        """What the kernel was asked for takes more than a second under the limit, and the replica is not ready."""
        reads = self.stack.resources.reads(self.fault.on)
        if reads is None or reads[1] != self.bytes_per_s or self.stack.process(self.fault.on) in (None, self.victim):
            return None
        if self._ready is None:
            self._ready = self.stack.resources.look(self.fault.on, Ask(page="/ready"))
        ready = self._ready.seen()
        if ready is None:
            return None
        self._ready = None
        # A server may read its model before it listens: then nobody is there yet.
        refused = ready.status is None and (ready.refused or ready.reset)
        if (ready.status != 503 and not refused) or reads[0] < self.bytes_per_s:
            return None
        asked = f"{self.fault.on} asked for {reads[0] // KIB} KiB of its disk"
        waits = "nobody listened for GET /ready yet" if refused else "GET /ready answered 503"
        return Proof(True, f"{asked} with at most {self.bytes_per_s // KIB} KiB/s, while {waits}")

    def lost(self) -> str | None:
        reads = self.stack.resources.reads(self.fault.on)
        if reads is None or reads[1] == self.bytes_per_s:
            return None
        return f"{self.fault.on} was restarted once more, and reads at full speed"

    def after_inverse(self) -> None:
        self.stack.resources.undone(self._inverse)

    def healed(self) -> bool:
        now, reads = self.stack.process(self.fault.on), self.stack.resources.reads(self.fault.on)
        return now is not None and now != self.victim and reads is not None and reads[1] is None


def _alike(one: float | None, other: float | None) -> bool:
    """Whether two quotas are the same, but for the kernel's rounding to microseconds."""
    return one is other is None or (one is not None and other is not None and abs(one - other) < 0.001)
