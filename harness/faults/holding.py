"""What every fault does for which a helper inside the replica's container takes something and keeps it.

The helper is no part of the proof: that is what the kernel counts and what the server process meets meanwhile.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from harness.faults.base import ActiveFault, CannotInject
from harness.model.errors import StackError
from harness.model.fault import Fault
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.resources import Holding, Resources

__all__ = ["HoldingFault"]

Parameters = TypeVar("Parameters", bound=Fault)


class HoldingFault(ActiveFault):
    """Put the helper in, look until there is evidence, end it."""

    victim: TargetProcess
    holding: Holding
    _inverse: Inverse
    over = False  # from then on a look can prove nothing about this fault

    @property
    def resources(self) -> Resources:
        return self.stack.resources

    def prepare(self) -> Inverse:
        found = self.stack.process(self.fault.on)
        if found is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.victim = found
        self.holding = self.wanted(f"{self.fault.kind}/{self.fault.on}/{self.where.seed}")
        try:
            self._inverse = self.resources.hold_inverse(self.victim, self.holding)
        except StackError as error:
            raise CannotInject(str(error)) from error
        return self._inverse

    @abstractmethod
    def wanted(self, tag: str) -> Holding:
        """What to hold, having looked at the target. Raises CannotInject."""

    def apply(self) -> None:
        try:
            self.resources.hold(self.victim, self.holding)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def lost(self) -> str | None:
        if self.stack.process(self.fault.on) != self.victim or self.resources.holds(self.holding):
            return None  # that the replica was restarted is the target's answer, not ours
        return f"what held {self.fault.kind} in the container of {self.fault.on} had ended"

    def after_inverse(self) -> None:
        self.over = True
        self.resources.undone(self._inverse)

    def healed(self) -> bool:
        """The helper has gone, and another process serves or this one has what was taken."""
        now = self.stack.process(self.fault.on)
        if now is None or self.resources.holds(self.holding):
            return False
        return now != self.victim or self.given_back()

    @abstractmethod
    def given_back(self) -> bool:
        """Whether the server process has again what was taken, as seen from outside."""

    def parameters(self, cls: type[Parameters]) -> Parameters:
        assert isinstance(self.fault, cls)
        return self.fault
