"""What every fault does, in the order in which the experiment asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from harness.model.fault import Fault
from harness.record.journal import Inverse
from harness.stack.base import Stack

__all__ = ["ActiveFault", "CannotInject", "Proof", "Where"]


class CannotInject(Exception):
    """The target is in no state for this fault, e.g. the replica is down already."""


@dataclass(frozen=True)
class Proof:
    """Evidence from outside the fault's own code that the target was hit."""

    proven: bool
    evidence: str
    holds_altered: bool = False  # the serving process was seen to hold something else than the pristine model


@dataclass(frozen=True)
class Where:
    """Where and with what chance a fault acts."""

    stack: Stack
    run_id: str
    run_folder: Path
    seed: str  # of this fault in this episode
    home: Path | None = None  # of a stack that outlives the run

    @property
    def own_folder(self) -> Path:
        """All files of the target that may be touched lie below it."""
        return self.home or self.run_folder


class ActiveFault(ABC):
    """One fault in one episode: prepare -> (journal) -> apply -> proof ... -> (inverse) -> after_inverse -> healed."""

    def __init__(self, fault: Fault, where: Where) -> None:
        self.fault = fault
        self.where = where

    @property
    def stack(self) -> Stack:
        return self.where.stack

    @abstractmethod
    def prepare(self) -> Inverse:
        """Look at the target, change nothing of it, and say how to take the fault back. Raises CannotInject."""

    @abstractmethod
    def apply(self) -> None:
        """Break it. Raises CannotInject when the target has changed since `prepare`."""

    @abstractmethod
    def proof(self) -> Proof | None:
        """Evidence, or None while there is none yet; asked again until the fault ends."""

    def keep(self) -> None:  # noqa: B027  most faults need nothing more
        """Called again and again until the inverse: for faults that must be renewed."""

    def lost(self) -> str | None:
        """Asked right before the inverse: what had ended the fault before its time; None: it was there to the end."""
        return None

    def restart(self) -> None:
        """For faults that act on a file: have the replica load it."""
        self.stack.restart(self.fault.on)

    def after_inverse(self) -> None:  # noqa: B027  most faults need nothing more
        """What else brings the target back after the inverse. What its supervisor should do is left to it."""

    @abstractmethod
    def healed(self) -> bool:
        """Whether the fault is gone, as seen from outside; the users' recovery is measured elsewhere."""
