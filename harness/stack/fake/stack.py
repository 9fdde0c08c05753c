"""The fake stack: a scripted target on a fake clock, and a peer of the real ones in everything that a run asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.plan import Prompt
from harness.model.process_faults import Victim
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.fake.links import LINKS, FakeLinks
from harness.stack.fake.model import PRISTINE, parts_of, write_model
from harness.stack.fake.nodes import FakeNodes, FakeTakenPort
from harness.stack.fake.partition import FakePartitions
from harness.stack.fake.resources import FakeResources
from harness.stack.fake.service import FakeService
from harness.stack.fake.supervisor import refusal
from harness.stack.fake.target import FakeTarget
from harness.stack.fake.traffic import FakeTraffic

__all__ = ["PRISTINE", "FakeStack"]


class FakeStack:
    """A stack that starts nothing."""

    name = "fake"
    # There is nothing real for a command to act on.
    capabilities = frozenset(Capability) - {Capability.BALANCER, Capability.EXEC}

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin_s = 0.0
        self._target: FakeTarget | None = None
        self._resources = FakeResources(lambda: self.target)

    @property
    def target(self) -> FakeTarget:
        """The script, advanced to now. Raises StackError before `up`."""
        if self._target is None:
            raise StackError("the fake stack is not up")
        self._target.advance(self._clock.now() - self._origin_s)
        return self._target

    def target_at(self, at_s: float) -> FakeTarget:
        """The script, advanced to `at_s` seconds from the run's origin."""
        assert self._target is not None
        self._target.advance(at_s)
        return self._target

    def check(self) -> None:
        pass

    def describe(self) -> Mapping[str, str]:
        return {"primary": "scripted replica", "standby": "scripted replica"}

    def prompts(self) -> Mapping[str, tuple[Prompt, ...]]:
        def one(text: str, answer: str) -> Prompt:
            return Prompt(({"role": "user", "content": text},), 8, answer)

        return {"chat": (one("Say hello.", "hello"),), "sentiment": (one("I like it.", "positive"),)}

    def links(self) -> Mapping[str, str]:
        return LINKS

    @property
    def network(self) -> FakeLinks:
        return self.target.links

    @property
    def partitions(self) -> FakePartitions:
        return FakePartitions(lambda: self.target)

    @property
    def nodes(self) -> FakeNodes:
        return FakeNodes(lambda: self.target)

    def take_port(self, replica: str) -> FakeTakenPort:
        return FakeTakenPort(self.target.taken_ports, replica)

    @property
    def service(self) -> FakeService:
        return FakeService(lambda: self.target)

    @property
    def traffic(self) -> FakeTraffic:
        return FakeTraffic(lambda: self.target)

    @property
    def resources(self) -> FakeResources:
        return self._resources

    def up(self, run: RunContext) -> None:
        cannot = refusal(run.target)
        if cannot:
            raise StackError(cannot)
        self._origin_s = run.origin_monotonic_s
        self._target = FakeTarget(run.folder / "stack", run.target, run.seed)
        for folder in {self.model_folder(name) for name in self._target.replicas}:
            write_model(folder)

    def ready(self) -> str | None:
        return None

    @property
    def base_url(self) -> str:
        return "fake://target"

    def poll(self) -> list[Event]:
        if self._target is None:
            return []
        found, self.target.events = self.target.events, []
        return found

    def final_counters(self) -> list[Event]:
        now_s = self._clock.now() - self._origin_s
        counted = {"source": "gateway", "incarnation": "1", "received_distinct": self.target.received}
        return [Event(now_s, "counters", counted)]

    def down(self) -> None:
        self._target = None

    def process(self, replica: str) -> TargetProcess | None:
        found = self.target.replicas[replica]
        return None if found.status == "dead" else TargetProcess(replica, found.pid, 1)

    def signal(self, process: TargetProcess, name: str) -> bool:
        if self.state(process) == "gone":
            return False
        if process.pid < 0:  # the engine of the one with the same number
            self.target.begin_fault(process.replica, "kill_engine", {})
        elif name == "SIGSTOP":
            self.target.pause(process.replica)
        elif name == "SIGCONT":
            self.target.resume(process.replica)
        else:
            how = {"SIGKILL": "terminated by SIGKILL", "SIGTERM": "exit status 0"}[name]
            self.target.end_process(process.replica, how)
        return True

    def state(self, process: TargetProcess) -> str:
        replica = self.target.replicas[process.replica]
        if replica.pid != abs(process.pid) or replica.status == "dead":
            return "gone"
        paused = "kill_engine" in replica.faults if process.pid < 0 else replica.status == "paused"
        return "stopped" if paused else "running"

    def exit_report(self, process: TargetProcess) -> str | None:
        return self.target.replicas[process.replica].exit_reports.get(process.pid)

    def restart(self, replica: str) -> None:
        self.target.end_process(replica, "exit status 0", asked_for=True)

    def ensure_running(self, replica: str) -> None:
        self.target.supervisor.ensure_running(self.target.replicas[replica])

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        return TargetProcess(process.replica, -process.pid, 1) if of == "engine" else process

    def why_down(self, replica: str) -> str | None:
        found = self.target.replicas[replica]
        return f"{found.last_exit}: {found.last_words}" if found.status == "dead" else None

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "pid": process.pid})

    def model_folder(self, replica: str) -> Path:
        assert self._target is not None
        return self._target.model_folder(replica)

    def held_weights(self, replica: str) -> Weights:
        found = self.target.replicas[replica]
        if found.status == "dead":
            return Weights(None, f"no process: {found.last_exit}", last_exit=found.last_exit)
        return Weights(self.target.file_altered(replica) is not False, f"memory of process {found.pid}, mapped file")

    def held_parts(self, replica: str) -> Mapping[str, str]:
        return {} if self.target.replicas[replica].status == "dead" else parts_of(self.model_folder(replica))
