"""What every stack offers, and what only some can: a stack lists its capabilities, a fault names the one it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.model.capability import Capability
from harness.model.event import Event
from harness.model.plan import Prompt
from harness.model.process_faults import Victim
from harness.model.scenario import TargetOptions
from harness.record.journal import Inverse
from harness.stack.links import Links
from harness.stack.nodes import Nodes
from harness.stack.partition import Partitions
from harness.stack.resources import Resources
from harness.stack.service import Service
from harness.stack.taken_port import Taken

__all__ = ["Configurable", "Home", "Limited", "Reusable", "RunContext", "Stack", "TargetProcess", "Weights"]


@dataclass(frozen=True)
class Home:
    """Whose a stack is that serves one run after the other: registered and guarded like a run."""

    run_id: str
    folder: Path


@dataclass(frozen=True)
class RunContext:
    """What a stack needs to know of the run. Everything it starts carries its label."""

    run_id: str
    folder: Path  # of the run; logs and configuration go into folder/"stack"
    origin_monotonic_s: float
    seed: str = "0"  # of the plan; for what a stack draws itself
    target: TargetOptions = field(default_factory=TargetOptions)
    tasks: tuple[str, ...] = ()  # of the load's mix
    needs: Mapping[str, frozenset[Capability]] = field(default_factory=dict)  # by what its faults are on
    home: Home | None = None  # of a stack that outlives this run

    @property
    def label(self) -> str:
        """What everything of the target carries: this run's id, or that of its stack's home."""
        return self.run_id if self.home is None else self.home.run_id

    @property
    def stack_folder(self) -> Path:
        """Where the target's programs have their files and logs."""
        return (self.folder if self.home is None else self.home.folder) / "stack"


@dataclass(frozen=True)
class TargetProcess:
    """A server process of a replica."""

    replica: str
    pid: int
    started: int  # clock ticks since boot: tells it from a later process with the same pid


@dataclass(frozen=True)
class Weights:
    """Whether the bytes that a serving process really holds differ from the pristine model's."""

    altered: bool | None  # None: no process holds any, and `source` says why
    source: str  # e.g. "memory of process 4121, mapped file", "GET /weights", "no process: exit status 78"
    refused: str | None = None  # the replica runs, but a detector of its own keeps it from serving: what it says
    last_exit: str | None = None  # how the process that ended last ended, e.g. "exit status 78": not the running one


class Stack(Protocol):
    """Where the target runs. Methods below `--` are needed only for the capability named there."""

    name: str
    capabilities: frozenset[Capability]

    def check(self) -> None:
        """Raise StackError, in a sentence with the remedy, when the target could not be brought up. Touches nothing."""

    def describe(self) -> Mapping[str, str]:
        """Replica -> what it is, for the plan."""

    def prompts(self) -> Mapping[str, tuple[Prompt, ...]]:
        """Name of each prompt set (chat, sentiment ...) -> its prompts with their golden answers."""

    def up(self, run: RunContext) -> None:
        """Start everything; does not wait for readiness."""

    def ready(self) -> str | None:
        """None when users can be served with every replica admitted; otherwise what is still missing, in words."""

    @property
    def base_url(self) -> str:
        """Where users send requests: through proxy and gateway."""

    def poll(self) -> list[Event]:
        """What the target reported since the last call (kinds `target.*`, `probe.*`, `counters`); never blocks."""

    def final_counters(self) -> list[Event]:
        """The target's own counters, read once more when the load has ended."""

    def down(self) -> None:
        """Stop everything that was started. Safe to call at any time, and twice."""

    # -- kill, pause, stop

    def process(self, replica: str) -> TargetProcess | None:
        """The replica's server process now; None when it is down."""

    def signal(self, process: TargetProcess, name: str) -> bool:
        """Send SIGKILL, SIGTERM, SIGSTOP or SIGCONT; False when it has gone."""

    def state(self, process: TargetProcess) -> str:
        """`running`, `stopped` (by a signal), or `gone`, as the operating system says."""

    def exit_report(self, process: TargetProcess) -> str | None:
        """What the supervisor says of its end ("terminated by SIGKILL", "exit status 0"); None: nothing yet."""

    def restart(self, replica: str) -> None:
        """Ask the supervisor to restart the replica; returns at once."""

    def ensure_running(self, replica: str) -> None:
        """Ask the supervisor to start the replica if it has given it up; returns at once."""

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        """Of a server process: itself, its engine's process, or its container's first; None: there is none."""

    def why_down(self, replica: str) -> str | None:
        """Of a replica without a process: how the last one ended or was not started, and its last words."""

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        """How another process could take a pause back."""

    # -- network

    def links(self) -> Mapping[str, str]:
        """Name of each link, which is that of the server it leads to -> what link it is. Known before `up`."""

    @property
    def network(self) -> Links:
        """The links themselves, while the stack is up."""

    # -- partition

    @property
    def partitions(self) -> Partitions:
        """What happens to packets between the servers, while the stack is up."""

    # -- nodes

    @property
    def nodes(self) -> Nodes:
        """What servers run on, while the stack is up."""

    # -- take_port

    def take_port(self, replica: str) -> Taken:
        """Begin to take the replica's port as soon as its server lets it go."""

    # -- service_faults

    @property
    def service(self) -> Service:
        """The replicas themselves, while the stack is up."""

    # -- resources, clock, slow_storage

    @property
    def resources(self) -> Resources:
        """What each replica has for itself, while the stack is up."""

    # -- corrupt_files

    def model_folder(self, replica: str) -> Path:
        """The replica's own copy of the model."""

    def held_weights(self, replica: str) -> Weights:
        """What the replica holds in memory right now."""

    def held_parts(self, replica: str) -> Mapping[str, str]:
        """Digests of what it made of its other files, as `config` and `tokenizer`; empty: it does not answer or say."""


@runtime_checkable
class Reusable(Protocol):
    """A stack that can serve one run after the other, since it can tell whether one has left it as it came up."""

    def serve(self, run: RunContext) -> None:
        """What is up serves this run from now on. What remembers users starts anew; does not wait for readiness."""

    def release(self) -> str | None:
        """The run is over, and its part of the logs in its folder. None: all is as it came up; else what is not."""

    def changed(self) -> str | None:
        """What has happened to it since it was released, while nobody watched; None: nothing."""


@runtime_checkable
class Configurable(Protocol):
    """A stack that knows which options its target has."""

    def target_options(self) -> Mapping[str, Collection[str]]:
        """Of its `gateway`, of a `replica`."""


@runtime_checkable
class Limited(Protocol):
    """A stack that has fewer capabilities here than its kind has elsewhere."""

    def why_limited(self) -> str:
        """In words, for the refusal of a fault."""
