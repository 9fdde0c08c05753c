"""A scripted target on a fake clock: two replicas behind an active/standby gateway, with round numbers.

It drives the real parser, planner, experiment, judge and renderers in milliseconds, and every figure of its runs can be
worked out by hand: a beat every 0.25 s, three missed beats isolate, a restart takes 3 s, admission 0.25 s more.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.fake_links import LINKS, FakeLinks
from harness.stack.fake_model import PRISTINE, altered_model, parts_of, write_model

__all__ = ["PRISTINE", "FakeStack", "FakeTarget"]

BEAT_S = 0.25
MISSED_BEATS = 3
BEAT_TIMEOUT_S = 0.25
RESTART_S = 3.0
VERIFY_S = 0.25


@dataclass
class _Replica:
    """What the script knows of one replica."""

    name: str
    status: str = "up"  # up, dead, paused
    admitted: bool = True
    pid: int = 0
    answers_wrong: bool = False
    exit_reports: dict[int, str] = field(default_factory=dict)
    last_exit: str = ""
    generation: int = 0  # what was due for an earlier generation is void


class FakeTarget:
    """State of the target over time. `advance` must be called with times that never go back."""

    def __init__(self, folder: Path, *, fragile: bool = False) -> None:
        self._fragile = fragile
        self._pids = count(4121)
        self.folder = folder
        self.replicas = {name: _Replica(name, pid=next(self._pids)) for name in ("primary", "standby")}
        self.events: list[Event] = []
        self.answered: dict[str, int] = dict.fromkeys(self.replicas, 0)
        self.received = 0
        self.links = FakeLinks(self.beats_reach)
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self.now_s = 0.0

    def advance(self, now_s: float) -> None:
        """Let everything happen that is due by `now_s` seconds from the run's origin."""
        while self._agenda and self._agenda[0][0] <= now_s:
            at_s, _, act = heapq.heappop(self._agenda)
            self.now_s = max(self.now_s, at_s)
            act(at_s)
        self.now_s = max(self.now_s, now_s)

    def active(self) -> _Replica | None:
        """Where the gateway sends users now."""
        return next((replica for replica in self.replicas.values() if replica.admitted), None)

    def end_process(self, name: str, report: str, *, comes_back: bool = True) -> None:
        """The replica's process ends now; its supervisor starts it again."""
        replica = self.replicas[name]
        replica.exit_reports[replica.pid] = replica.last_exit = report
        replica.generation += 1
        self._say("exited", name, report=report)
        if replica.status != "paused":
            self._miss_beats(replica, self.now_s)
        replica.status = "dead"
        if comes_back:
            self._due(replica, RESTART_S, lambda at_s: self._load(replica, at_s))

    def pause(self, name: str) -> None:
        """The process stops answering."""
        replica = self.replicas[name]
        replica.status = "paused"
        replica.generation += 1
        self._miss_beats(replica, self.now_s + BEAT_TIMEOUT_S)

    def resume(self, name: str) -> None:
        """The process answers again."""
        replica = self.replicas[name]
        if replica.status != "paused":
            return
        replica.status = "up"
        replica.generation += 1
        if not replica.admitted:
            self._due(replica, BEAT_S, lambda at_s: self._ready(replica, at_s))

    def beats_reach(self, name: str, reached: bool) -> None:
        """Whether the gateway's beats pass the link to a replica, which itself goes on."""
        replica = self.replicas[name]
        if replica.status != "up":
            return
        replica.generation += 1
        if not reached:
            self._miss_beats(replica, self.now_s)
        elif not replica.admitted:
            self._due(replica, BEAT_S, lambda at_s: self._ready(replica, at_s))

    def file_altered(self, name: str) -> bool | None:
        """Whether a model file differs from the pristine one; None: the weights are missing."""
        return altered_model(self.folder / name / "model")

    def _load(self, replica: _Replica, at_s: float) -> None:
        replica.pid = next(self._pids)
        self._say("started", replica.name, at_s)
        if self.file_altered(replica.name) is not False:
            replica.exit_reports[replica.pid] = replica.last_exit = "exit status 78"
            self._say("exited", replica.name, at_s, report="exit status 78")
            self._due(replica, RESTART_S, lambda again_s: self._load(replica, again_s))
            return
        replica.status = "up"
        self._ready(replica, at_s)

    def _ready(self, replica: _Replica, at_s: float) -> None:
        self._say("ready_green", replica.name, at_s)
        self._due(replica, VERIFY_S, lambda later_s: self._admit(replica, later_s))

    def _admit(self, replica: _Replica, at_s: float) -> None:
        replica.admitted = True
        self._say("readmitted", replica.name, at_s)

    def _miss_beats(self, replica: _Replica, from_s: float) -> None:
        """What is missed for too long is isolated; a fragile gateway looks away."""
        if self._fragile:
            return
        for beat in range(1, MISSED_BEATS + 1):
            self._due_at(replica, from_s + beat * BEAT_S, self._missed(replica, beat))

    def _missed(self, replica: _Replica, beat: int) -> Callable[[float], None]:
        def miss(at_s: float) -> None:
            if not replica.admitted:
                return
            self._say("beat_missed", replica.name, at_s, missed=beat)
            if beat == MISSED_BEATS:
                replica.admitted = False
                self._say("isolated", replica.name, at_s, last_routed_s=at_s)

        return miss

    def _due(self, replica: _Replica, after_s: float, act: Callable[[float], None]) -> None:
        self._due_at(replica, self.now_s + after_s, act)

    def _due_at(self, replica: _Replica, at_s: float, act: Callable[[float], None]) -> None:
        generation = replica.generation

        def if_current(now_s: float) -> None:
            if replica.generation == generation:
                act(now_s)

        heapq.heappush(self._agenda, (at_s, next(self._order), if_current))

    def _say(self, kind: str, replica: str, at_s: float | None = None, **fields: object) -> None:
        self.events.append(
            Event(self.now_s if at_s is None else at_s, f"target.{kind}", {"replica": replica, **fields})
        )


class FakeStack:
    """A stack that starts nothing."""

    name = "fake"
    capabilities = frozenset(Capability)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin_s = 0.0
        self._target: FakeTarget | None = None

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

    def up(self, run: RunContext) -> None:
        single = {**run.target.gateway, **run.target.replica}
        if single:
            raise StackError(
                f"target: the fake stack is a script and has no option {min(single)}; it knows `protection`"
            )
        self._origin_s = run.origin_monotonic_s
        self._target = FakeTarget(run.folder / "stack", fragile=run.target.protection == "fragile")
        for name in self._target.replicas:
            write_model(self.model_folder(name))

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
        return [
            Event(
                now_s, "counters", {"source": "gateway", "incarnation": "1", "received_distinct": self.target.received}
            )
        ]

    def down(self) -> None:
        self._target = None

    def process(self, replica: str) -> TargetProcess | None:
        found = self.target.replicas[replica]
        return None if found.status == "dead" else TargetProcess(replica, found.pid, 1)

    def signal(self, process: TargetProcess, name: str) -> bool:
        if self.state(process) == "gone":
            return False
        if name == "SIGSTOP":
            self.target.pause(process.replica)
        elif name == "SIGCONT":
            self.target.resume(process.replica)
        else:
            self.target.end_process(
                process.replica, {"SIGKILL": "terminated by SIGKILL", "SIGTERM": "exit status 0"}[name]
            )
        return True

    def state(self, process: TargetProcess) -> str:
        replica = self.target.replicas[process.replica]
        if replica.pid != process.pid or replica.status == "dead":
            return "gone"
        return "stopped" if replica.status == "paused" else "running"

    def exit_report(self, process: TargetProcess) -> str | None:
        return self.target.replicas[process.replica].exit_reports.get(process.pid)

    def restart(self, replica: str) -> None:
        self.target.end_process(replica, "exit status 0")

    def ensure_running(self, replica: str) -> None:
        pass  # the scripted supervisor never gives up

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "pid": process.pid})

    def model_folder(self, replica: str) -> Path:
        assert self._target is not None
        return self._target.folder / replica / "model"

    def held_weights(self, replica: str) -> Weights:
        found = self.target.replicas[replica]
        if found.status == "dead":
            return Weights(None, f"no process: {found.last_exit}")
        return Weights(self.target.file_altered(replica) is not False, f"memory of process {found.pid}, mapped file")

    def held_parts(self, replica: str) -> Mapping[str, str]:
        return {} if self.target.replicas[replica].status == "dead" else parts_of(self.model_folder(replica))
