"""Faults of a container's memory: used up until the kernel kills, or held just below that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from harness.faults.base import CannotInject, Proof
from harness.faults.holding import HoldingFault
from harness.model.errors import StackError
from harness.model.resource_faults import MemoryOom, MemoryPressure
from harness.record.journal import Inverse
from harness.stack.resources import Holding, Memory
from harness.stack.service import ReplicaSilent

__all__ = ["Oom", "Pressure"]

MIB = 2**20
LEAK = "leak_memory"
BEYOND_MB = 64  # a leak asks for more than is left, since the kernel drops caches first
SPARE_BYTES = 48 * MIB  # what pressure must leave: a health check is a process of its own in the container
NEAR = 0.02  # of the limit: a reading this much below the share that is held is that share
LOOKS = 4  # a server whose engine was killed is given a second to end as well


class _MemoryFault(HoldingFault):
    """Looks at the container's memory first."""

    before: Memory
    ooms: Sequence[int]  # by each witness

    def limited(self) -> int:
        """The container's limit. Raises CannotInject when there is none: that would be the host's memory."""
        found = self.resources.memory(self.fault.on)
        if found is None:
            raise CannotInject(f"the memory of {self.fault.on} cannot be seen: its cgroup is not on this host")
        if found.limit_bytes is None:
            raise CannotInject(f"the container of {self.fault.on} has no memory limit, so the host's would be used up")
        self.before, self.ooms = found, self.resources.ooms(self.fault.on)
        return found.limit_bytes

    def kills(self) -> int:
        """How often the kernel has killed for memory since, by whoever saw most of it.

        The counter of a cgroup goes when the container ends, and an engine that is about to be told is not always
        told: none of them has to see it all.
        """
        now = self.resources.memory(self.fault.on)
        same = self.stack.process(self.fault.on) == self.victim
        counted = now.oom_kills - self.before.oom_kills if now is not None and same else 0
        told = zip(self.ooms, self.resources.ooms(self.fault.on), strict=True)
        return max(counted, *(after - before for before, after in told))


class Oom(_MemoryFault):
    """By a ballast of ours, or by the replica's own fault `leak_memory`."""

    _looks = 0

    @property
    def leaks(self) -> bool:
        """Whether the replica does it to itself."""
        return self.parameters(MemoryOom).by == "leak"

    def prepare(self) -> Inverse:
        held = super().prepare()
        if self.leaks:
            self._inverse = self.stack.service.inverse(self.victim, LEAK)
            return self._inverse
        return held

    def wanted(self, tag: str) -> Holding:
        return Holding(tag, "oom", self.fault.lasts_s, float(self.limited()))

    def apply(self) -> None:
        if not self.leaks:
            super().apply()
            return
        assert self.before.limit_bytes is not None
        left_mb = (self.before.limit_bytes - self.before.used_bytes) // MIB
        try:
            self.stack.service.begin(self.victim, LEAK, {"mb": left_mb + BEYOND_MB})
        except ReplicaSilent:
            pass  # it may have been killed before it could answer
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        kills = self.kills()
        if kills < 1:
            return None
        struck = f"the kernel's OOM killer struck in the container of {self.fault.on} ({kills} by its count)"
        gone = self.stack.state(self.victim) == "gone"
        report = self.stack.exit_report(self.victim) if gone else None
        if report is not None:
            right = self.leaks or "SIGKILL" in report
            return Proof(right, f"{struck}; process {self.victim.pid} is gone, its supervisor says: {report}")
        self._looks += 1
        if gone or not self.leaks or self._looks < LOOKS:
            return None
        return Proof(True, f"{struck}; the server {self.victim.pid} lives")

    def lost(self) -> str | None:
        return None  # it is over when it has struck; whether it has, its proof says

    def after_inverse(self) -> None:
        if not self.leaks:
            super().after_inverse()
            return
        with suppress(StackError):  # `healed` asks again
            self.stack.service.end(self.victim, LEAK)

    def given_back(self) -> bool:
        if not self.leaks:
            return True  # the kernel did not strike, and the ballast has gone
        try:
            return not self.stack.service.has(self.victim, LEAK)
        except StackError:
            return False


class Pressure(_MemoryFault):
    """A share of the limit is in use, and nothing is killed."""

    def wanted(self, tag: str) -> Holding:
        limit_bytes, share = self.limited(), self.parameters(MemoryPressure).share
        if (1 - share) * limit_bytes < SPARE_BYTES:
            words = f"{share:.0%} of {limit_bytes / MIB:.0f} MiB leaves less than {SPARE_BYTES // MIB} MiB"
            raise CannotInject(f"{words} to {self.fault.on}, which the kernel might kill")
        if self.before.share > share - NEAR:
            raise CannotInject(f"{self.fault.on} uses {self.before.share:.0%} of its memory already")
        return Holding(tag, "memory", self.fault.lasts_s, share)

    def proof(self) -> Proof | None:
        now, share = self.resources.memory(self.fault.on), self.parameters(MemoryPressure).share
        if self.over or now is None or now.share < share - NEAR or self.kills():
            return None
        used = f"{now.used_bytes / MIB:.0f} of {(now.limit_bytes or 0) / MIB:.0f} MiB"
        return Proof(
            True, f"{self.fault.on} uses {used} ({now.share:.0%}, before {self.before.share:.0%}), no OOM kill"
        )

    def lost(self) -> str | None:
        if self.kills():
            return f"the kernel's OOM killer struck in the container of {self.fault.on}: there was too little to hold"
        return super().lost()

    def given_back(self) -> bool:
        now = self.resources.memory(self.fault.on)
        return now is not None and now.share < self.parameters(MemoryPressure).share - NEAR
