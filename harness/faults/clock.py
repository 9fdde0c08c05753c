"""Faults of a replica's wall clock."""

from __future__ import annotations

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.resource_faults import ClockJump
from harness.record.journal import Inverse

__all__ = ["JumpClock"]

NEAR_S = 3.0  # answers are dated in whole seconds, and the offset is read once a second


class JumpClock(ActiveFault):
    """Seen in how the replica dates its own answers (the Date header, RFC 9110 6.6.1)."""

    _inverse: Inverse

    def prepare(self) -> Inverse:
        why_not = self.stack.resources.clock_can_jump(self.fault.on)
        if why_not:
            raise CannotInject(why_not)
        offset_s = self.stack.resources.clock_offset_s(self.fault.on)
        if offset_s is None or abs(offset_s) >= NEAR_S:
            raise CannotInject(f"{self.fault.on} does not date its answers with this host's time (off by: {offset_s})")
        self._inverse = self.stack.resources.clock_inverse(self.fault.on)
        return self._inverse

    @property
    def by_s(self) -> float:
        """How far."""
        assert isinstance(self.fault, ClockJump)
        return self.fault.by_s

    def apply(self) -> None:
        self.stack.resources.set_clock(self.fault.on, self.by_s)

    def proof(self) -> Proof | None:
        offset_s = self.stack.resources.clock_offset_s(self.fault.on)
        if offset_s is None or abs(offset_s - self.by_s) >= NEAR_S:
            return None
        return Proof(True, f"{self.fault.on} dates its answers {offset_s:+.0f} s from the clock of this host")

    def lost(self) -> str | None:
        offset_s = self.stack.resources.clock_offset_s(self.fault.on)
        if offset_s is None or abs(offset_s - self.by_s) < NEAR_S:
            return None
        return f"{self.fault.on} dated its answers {offset_s:+.0f} s from the clock of this host"

    def after_inverse(self) -> None:
        self.stack.resources.undone(self._inverse)

    def healed(self) -> bool:
        offset_s = self.stack.resources.clock_offset_s(self.fault.on)
        return offset_s is not None and abs(offset_s) < NEAR_S
