"""The replicas themselves, past gateway and links: their own faults on demand, what they use, and how they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.links import Ask, Look

if TYPE_CHECKING:
    from harness.stack.base import TargetProcess

__all__ = ["PLACES", "RUNNING", "WAITING", "Parameters", "ReplicaSilent", "Service", "Usage", "metric"]

Parameters = Mapping[str, int | float | str]  # of a fault, by the names that the replica has for them

WAITING = "target_queue_depth"  # requests that wait for a place in the engine
RUNNING = "target_running"  # requests that have one
PLACES = "target_running_max"  # how many can have one


class ReplicaSilent(StackError):
    """A replica did not answer in time: hung, ending, or gone."""


@dataclass(frozen=True)
class Usage:
    """What a server process and its children have used, as the operating system says."""

    age_s: float  # of the server process
    cpu_s: float  # of all that live, since their begin
    resident_mb: float  # MiB
    members: frozenset[tuple[int, int]] = frozenset()  # (pid, clock ticks since boot at its begin) of each process


class Service(Protocol):
    """All replicas of a stack that is up. A fault belongs to the process that has it: the next one is born without."""

    def begin(self, process: TargetProcess, fault: str, parameters: Parameters) -> None:
        """Have a replica do it to itself. Raises StackError: refused; ReplicaSilent: perhaps begun."""

    def end(self, process: TargetProcess, fault: str) -> None:
        """End it; does no harm when it is over or the process has gone. Raises StackError when it is still there."""

    def has(self, process: TargetProcess, fault: str) -> bool:
        """Whether it acts now, as the replica says. Raises StackError when it cannot be asked."""

    def inverse(self, process: TargetProcess, fault: str) -> Inverse:
        """How another process could end it."""

    def start_with(self, replica: str, options: Sequence[str]) -> None:
        """More command line options for every start from now on; none: as it was."""

    def starts_with(self, replica: str) -> tuple[str, ...]:
        """Which these are now."""

    def start_inverse(self, replica: str) -> Inverse:
        """How another process could take such options back."""

    def look(self, replica: str, ask: Ask) -> Look:
        """Begin to ask a replica itself."""

    def load_s(self, replica: str) -> float | None:
        """How long its process took to load the model; None: it has not. Waits for the answer, 0.8 s at most."""

    def usage(self, process: TargetProcess) -> Usage | None:
        """None: it has gone."""

    def spare_mb(self) -> float:
        """Memory of the host that can be had without harm to others, in MiB."""


def metric(exposition: bytes, name: str) -> float | None:
    """The value of a metric without labels in Prometheus' text format; None: it is not there."""
    found = re.search(rb"^%b (\S+)\r?$" % re.escape(name).encode(), exposition, re.MULTILINE)
    return None if found is None else float(found[1])
