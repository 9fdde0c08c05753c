"""Containers that are not the harness's own: only those that their owner has labelled can be hit; checked here.

A container opts in by the label reliability-harness.target=NAME; NAME is what a scenario says under `on`. Its server is
signalled from outside, so that its own restart policy acts on an end, and a helper container with a timer of its own is
armed before anything is paused.
"""

from __future__ import annotations

import signal as signals
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.model.capability import Capability
from harness.model.errors import BlastRadiusError, StackError
from harness.model.event import Event
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess
from harness.stack.containers.events import ContainerTail
from harness.stack.owned import ProcessId, identify, process_state, signal_if
from harness.stack.target_signals import SIGNALS, server_below

if TYPE_CHECKING:
    from harness.stack.external.foreign_engine import ForeignEngine, Found

__all__ = ["HELPERS", "TARGET", "OptedIn", "continue_in_container", "signal_in_container"]

TARGET = "reliability-harness.target"
HELPERS = "helpers"  # a file below stack/ of the run's folder, there while a helper container may be
RESTARTS_A_CRASH = frozenset({"always", "unless-stopped", "on-failure"})
RESTARTS_EVERYTHING = frozenset({"always", "unless-stopped"})
MARGIN_S = 5.0  # the helper waits so much longer than the longest fault: it is for when everybody else is dead


class OptedIn:
    """`label`: KEY or KEY=VALUE that the containers carry beside the opt-in; `longest_s`: of any fault."""

    def __init__(self, label: str, longest_s: float = 0.0) -> None:
        self._label = label
        self._longest_s = longest_s
        self._engine: ForeignEngine | None = None
        self._found: dict[str, Found] = {}
        self._tail: ContainerTail | None = None
        self._run: RunContext | None = None

    def check(self) -> None:
        """Raises StackError when no engine answers, or no container has opted in."""
        from harness.stack.external.foreign_engine import ForeignEngine

        self._engine = ForeignEngine()
        self._found = self._engine.labelled((self._label, TARGET))
        if not self._found:
            both = f"both the label {self._label} and {TARGET}=NAME"
            wanted = f"the label {self._label}" if self._label.startswith(f"{TARGET}=") else both
            raise StackError(
                f"no running container carries {wanted}; "
                "'harness init --compose FILE' writes an override file that adds it"
            )

    def capabilities(self) -> set[Capability]:
        """A container that nothing would start again is never ended; one on another host cannot be signalled."""
        if not all(_is_here(one.pid, one.container_id) for one in self._found.values()):
            return set()
        policies = {one.restart_policy for one in self._found.values()}
        found = {Capability.PAUSE}
        found |= {Capability.KILL} if policies <= RESTARTS_A_CRASH else set()
        return found | ({Capability.STOP} if policies <= RESTARTS_EVERYTHING else set())

    def describe(self) -> Mapping[str, str]:
        """Name -> which container it is."""
        return {
            name: f"container {one.name} of image {one.image}, restart policy {one.restart_policy}"
            for name, one in self._found.items()
        }

    def up(self, run: RunContext, clock: Clock) -> None:
        """Begin to listen to what becomes of them."""
        self._run = run
        engine, ids = self._known, {one.container_id: name for name, one in self._found.items()}

        def stream() -> Iterator[Mapping[str, Any]]:
            for raw in engine.events(TARGET):
                attributes = dict(raw.get("Actor", {}).get("Attributes", {}))
                name = ids.get(str(raw.get("Actor", {}).get("ID")))
                attributes.pop("com.docker.compose.service", None)
                attributes |= {"com.docker.compose.service": name} if name else {}
                yield {**raw, "Actor": {"Attributes": attributes}}

        self._tail = ContainerTail(stream, self._pid, clock, run.origin_monotonic_s)
        self._tail.start()

    def poll(self) -> list[Event]:
        """What became of them."""
        return self._tail.new_events() if self._tail else []

    def down(self) -> None:
        """The helpers have nothing left to undo."""
        if self._run is not None and self._helpers.exists():
            failed = self._known.remove_helpers(self._run.run_id)
            if failed:
                raise StackError(f"left behind: {'; '.join(failed)}; it ends by itself")
            self._helpers.unlink(missing_ok=True)

    def process(self, name: str) -> TargetProcess | None:
        """The server in the container: below its init, if it has one."""
        pid = self._pid(name)
        found = identify(pid) if pid else None
        if found is None:
            return None
        if self._tail is not None:
            self._tail.note_pid(name, found.pid)
        return TargetProcess(name, found.pid, found.started)

    def signal(self, process: TargetProcess, name: str) -> bool:
        """As `Stack.signal`. Before a pause its end is armed, in a container that needs none of us."""
        found = self._found[process.replica]
        self._known.check_label(found.container_id, TARGET)
        identity = ProcessId(process.pid, process.started)
        if name == "SIGSTOP":
            assert self._run is not None
            self._helpers.touch()
            self._known.arm(self._run.run_id, found, identity, self._longest_s + MARGIN_S)
        return signal_in_container(identity, SIGNALS[name], found.container_id)

    def state(self, process: TargetProcess) -> str:
        """`running`, `stopped`, or `gone`."""
        letter = process_state(ProcessId(process.pid, process.started))
        if letter in (None, "Z", "X"):
            return "gone"
        return "stopped" if letter in ("T", "t") else "running"

    def exit_report(self, process: TargetProcess) -> str | None:
        """What the engine says of its end."""
        if self._tail is None or self.state(process) != "gone":
            return None
        name, how = self._tail.exit_reports().get(process.pid, ("", ""))
        return how if name == process.replica else None

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        """How another process could take a pause back."""
        container = self._found[process.replica].container_id
        return Inverse("container.continue", {"pid": process.pid, "started": process.started, "container": container})

    def _pid(self, name: str) -> int | None:
        first = self._known.pid(self._found[name].container_id) if name in self._found else None
        return server_below(first) if first else None

    @property
    def _known(self) -> ForeignEngine:
        assert self._engine is not None, "check comes first"
        return self._engine

    @property
    def _helpers(self) -> Path:
        assert self._run is not None
        return self._run.folder / "stack" / HELPERS


def signal_in_container(process: ProcessId, signum: signals.Signals, container_id: str) -> bool:
    """Signal a process of that very container. False: it has gone. Raises BlastRadiusError, or StackError."""

    def of_the_container() -> bool:
        if not _is_here(process.pid, container_id):
            raise BlastRadiusError(f"process {process.pid} does not belong to container {container_id[:12]}")
        return True

    try:
        return signal_if(process, signum, of_the_container)
    except PermissionError as error:
        raise StackError(
            f"process {process.pid} of container {container_id[:12]} may only be signalled by root"
        ) from error


def continue_in_container(args: Mapping[str, Any]) -> None:
    """The inverse of a pause; does no harm twice, or when the container has gone."""
    with suppress(BlastRadiusError):  # the pid is somebody else's by now
        signal_in_container(ProcessId(args["pid"], args["started"]), signals.SIGCONT, args["container"])


def _is_here(pid: int, container_id: str) -> bool:
    """Whether that pid of this host is in the container, by its control groups."""
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
