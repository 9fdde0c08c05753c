"""What a stack can take away from a replica's container and look at in it: memory, processors, descriptors, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.record.journal import Inverse
from harness.stack.links import Ask, Look

if TYPE_CHECKING:
    from harness.stack.base import TargetProcess

__all__ = ["Holding", "Memory", "Processors", "Resources", "Space"]


@dataclass(frozen=True)
class Memory:
    """Of a container, in bytes."""

    limit_bytes: int | None
    used_bytes: int  # the working set: what the kernel cannot just drop
    oom_kills: int  # since the container was started

    @property
    def share(self) -> float:
        """Of the limit that is in use; 0 without a limit."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0


@dataclass(frozen=True)
class Processors:
    """Of a container, since it was started."""

    limit: float | None  # how many it may use; None: all
    periods: int  # in which it ran
    throttled: int  # of these, in which it was kept from going on
    throttled_s: float


@dataclass(frozen=True)
class Space:
    """Of a file system, as the server process sees it."""

    size_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Holding:
    """Something that a helper process inside the container takes and keeps until it is ended, or `for_s` are over.

    `what`: `oom` (memory until the server is killed, `amount` bytes at most), `memory` (up to the share `amount` of the
    limit), `fill` (all room of the volume `folder`), `files` (`amount` more descriptors than the server has).
    """

    tag: str  # unique in the run
    what: str
    for_s: float
    amount: float = 0.0
    folder: str = ""


class Resources(Protocol):
    """All replicas of a stack that is up. None as an answer: the container is down, or says nothing now."""

    def look(self, replica: str, ask: Ask) -> Look:
        """Begin to ask a replica itself, on a new connection."""

    def undone(self, inverse: Inverse) -> None:
        """Told when one of the inverses below was carried out, for a stack on which that alone changes nothing."""

    def memory(self, replica: str) -> Memory | None:
        """What its container uses."""

    def ooms(self, replica: str) -> Sequence[int]:
        """How often its container has run out of memory, by each witness's own count: one may miss what another saw."""

    def processors(self, replica: str) -> Processors | None:
        """What its container may use of the processors."""

    def space(self, process: TargetProcess, folder: str) -> Space | None:
        """The room on the volume that a server process sees at `folder`."""

    def files(self, process: TargetProcess) -> tuple[int, int] | None:
        """How many descriptors a server process has open, and how many it may have."""

    def hold(self, process: TargetProcess, holding: Holding) -> None:
        """Begin. Returns when the helper was started. Raises StackError."""

    def holds(self, holding: Holding) -> bool:
        """Whether the helper is there."""

    def hold_inverse(self, process: TargetProcess, holding: Holding) -> Inverse:
        """How another process could end it, and put right what it changed of the server process."""

    def limit_processors(self, replica: str, processors: float) -> None:
        """Change the quota of its container, also for its next starts. Raises StackError."""

    def processors_inverse(self, replica: str) -> Inverse:
        """How another process could restore the quota that it has now. Raises StackError."""

    def clock_can_jump(self, replica: str) -> str | None:
        """None: it can; otherwise why not, in words."""

    def set_clock(self, replica: str, offset_s: float) -> None:
        """What the replica's wall clock is ahead of ours from now on."""

    def clock_inverse(self, replica: str) -> Inverse:
        """How another process could take that back."""

    def clock_offset_s(self, replica: str) -> float | None:
        """How far its wall clock is ahead of ours, as its answers are dated; asks it, for 0.8 s at most."""

    def slow_reads(self, replica: str, bytes_per_s: int) -> None:
        """Restart the replica, with a limit on what it may read from disk. Returns at once. Raises StackError."""

    def slow_reads_inverse(self, replica: str) -> Inverse:
        """How another process could take the limit off. Raises StackError when there is no disk to slow down."""

    def reads(self, replica: str) -> tuple[int, int | None] | None:
        """Bytes that its container has read from the model's disk, and how many it may read in a second."""
