"""A scripted target on a fake clock: two replicas behind an active/standby gateway, with round numbers.

It drives the real parser, planner, experiment, judge and renderers in milliseconds, and every figure of its runs can be
worked out by hand: a beat every 0.25 s, three missed beats isolate, a restart takes 3 s, admission 0.25 s more.
"""

from __future__ import annotations

import heapq
import signal
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from harness.model.event import Event
from harness.model.scenario import TargetOptions
from harness.stack.base import TargetProcess
from harness.stack.fake.crowd import FakeCrowd
from harness.stack.fake.links import FakeLinks
from harness.stack.fake.model import altered_model, unreadable
from harness.stack.fake.replica import PLACES, FakeReplica
from harness.stack.fake.supervisor import Acts, FakeSupervisor
from harness.stack.partition import Cut
from harness.stack.service import Parameters

__all__ = ["LOAD_S", "PLACES", "SPARE_MB", "FakeReplica", "FakeTarget"]

BEAT_S = 0.25
MISSED_BEATS = 3
BEAT_TIMEOUT_S = 0.25
VERIFY_S = 0.25
LOAD_S = 1.0  # of the supervisor's RESTART_S; a start with options of its own is seen to load
STALL_S = 2.0  # what deep health takes for a hang, of a hardened replica
WATCHDOG_S = 5.0  # what its watchdog does
WATCHDOG_EXIT = "exit status 70"
CACHE_TTL_S = 60.0  # the replica's own default
SPARE_MB = 624  # of a replica's 1024: a leak of more has the kernel kill its engine


class FakeTarget:
    """State of the target over time. `advance` must be called with times that never go back."""

    def __init__(self, folder: Path, target: TargetOptions | None = None, seed: str = "0") -> None:
        target = target or TargetOptions()
        self._fragile = target.protection == "fragile"
        self._hardened = target.protection == "hardened"
        self._shared = target.model_copies == "shared"
        self.cache_ttl_s = (
            float(target.replica.get("cache_ttl_s", CACHE_TTL_S)) if target.replica.get("cache_size") else 0.0
        )
        self._pids = count(4121)
        self.folder = folder
        self.replicas = {name: FakeReplica(name, pid=next(self._pids)) for name in ("primary", "standby")}
        self.events: list[Event] = []
        self.answered: dict[str, int] = dict.fromkeys(self.replicas, 0)
        self.received = 0
        self.cuts: dict[str, Cut] = {}  # by mark
        self.taken_ports: set[str] = set()  # of replicas
        self.away: set[str] = set()  # servers whose node is down
        self.crowd = FakeCrowd(limits=not self._fragile)
        self.links = FakeLinks(self.beats_reach, lambda: self.crowd.page(self.now_s, self.received))
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self.now_s = 0.0
        acts = Acts(lambda: self.now_s, self._due, self._load, self.end_process, self._say)
        self.supervisor = FakeSupervisor(target, seed, acts)

    def advance(self, now_s: float) -> None:
        """Let everything happen that is due by `now_s` seconds from the run's origin."""
        while self._agenda and self._agenda[0][0] <= now_s:
            at_s, _, act = heapq.heappop(self._agenda)
            self.now_s = max(self.now_s, at_s)
            act(at_s)
        self.now_s = max(self.now_s, now_s)

    def active(self) -> FakeReplica | None:
        """Where the gateway sends users now."""
        return next((replica for replica in self.replicas.values() if replica.admitted), None)

    def end_process(self, name: str, report: str, *, asked_for: bool = False) -> None:
        """The replica's process ends now; its supervisor does as it is."""
        replica = self.replicas[name]
        replica.exit_reports[replica.pid] = replica.last_exit = report
        replica.generation += 1
        replica.forget()
        self._say("exited", name, report=report, asked_for=asked_for)
        if replica.status != "paused":
            self._miss_beats(replica, self.now_s)
        replica.status = "dead"
        self.supervisor.ended(replica, report, asked_for=asked_for)

    def current(self, process: TargetProcess) -> FakeReplica | None:
        """The replica, if that very process is its own."""
        replica = self.replicas[process.replica]
        return replica if replica.pid == process.pid and replica.status != "dead" else None

    def pause(self, name: str) -> None:
        """The process stops answering."""
        replica = self.replicas[name]
        replica.status = "paused"
        replica.generation += 1
        self._miss_beats(replica, self.now_s + BEAT_TIMEOUT_S)
        self.supervisor.paused(replica)

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

    def begin_fault(self, name: str, fault: str, arguments: Parameters) -> None:
        """A replica does it to itself, now."""
        replica = self.replicas[name]
        if fault == "crash" or (
            fault == "kill_engine" and arguments.get("signal") != signal.SIGSTOP
        ):  # a server whose engine has died ends, with the status of its watchdog
            of_server = arguments.get("where") == "server"
            self.end_process(name, f"exit status {arguments['exit_code']}" if of_server else WATCHDOG_EXIT)
            return
        if fault == "leak_memory" and int(arguments["mb"]) > SPARE_MB:
            replica.ooms += 1
            self.end_process(name, WATCHDOG_EXIT)
            return
        before = replica.silent
        replica.faults[fault], replica.faults_since_s[fault] = arguments, self.now_s
        self._perhaps_silent(replica, before=before)

    def poisoned(self, name: str) -> None:
        """A request came that holds the marker of its fault `poison`."""
        replica = self.replicas[name]
        effect = replica.faults["poison"]["effect"]
        before = replica.silent
        if effect == "crash":
            self.end_process(name, WATCHDOG_EXIT)
        elif effect == "kill_loop":
            replica.loop_ended = True
            self._perhaps_silent(replica, before=before)

    def _perhaps_silent(self, replica: FakeReplica, *, before: bool) -> None:
        """Whether deep health has something new to see; every other health check stays green."""
        if replica.silent and not before and self._hardened:
            replica.generation += 1
            self._miss_beats(replica, self.now_s + STALL_S)
            self._due(replica, WATCHDOG_S, lambda _: self.end_process(replica.name, WATCHDOG_EXIT))

    def end_fault(self, name: str, fault: str) -> None:
        """It is over."""
        replica = self.replicas[name]
        before = replica.silent
        replica.faults.pop(fault, None)
        replica.faults_since_s.pop(fault, None)
        if before and not replica.silent and self._hardened:
            replica.generation += 1
            if not replica.admitted:
                self._due(replica, BEAT_S, lambda at_s: self._ready(replica, at_s))

    def start_with(self, name: str, options: Sequence[str]) -> None:
        """More options for the next starts of a replica."""
        self.replicas[name].start_options = tuple(options)

    def file_altered(self, name: str) -> bool | None:
        """Whether a model file differs from the pristine one; None: the weights are missing."""
        return altered_model(self.model_folder(name))

    def model_folder(self, name: str) -> Path:
        """Where the replica's copy of the model lies."""
        return self.folder / ("shared" if self._shared else name) / "model"

    def take_away(self, name: str) -> None:
        """Its node is down: nobody restarts it."""
        self.away.add(name)
        replica = self.replicas[name]
        replica.exit_reports[replica.pid] = replica.last_exit = "terminated by SIGKILL"
        replica.generation += 1
        replica.forget()
        self._say("exited", name, report=replica.last_exit, asked_for=True)
        self._miss_beats(replica, self.now_s + BEAT_TIMEOUT_S)
        replica.status = "dead"

    def bring_back(self, name: str) -> None:
        """Its node is back, and it is started."""
        self.away.discard(name)
        self.supervisor.ensure_running(self.replicas[name])

    def _load(self, replica: FakeReplica, at_s: float) -> None:
        replica.pid, replica.started_s = next(self._pids), at_s
        self._say("started", replica.name, at_s)
        obstacle = self._obstacle(replica)
        if obstacle is not None:
            report, replica.last_words = obstacle
            replica.exit_reports[replica.pid] = replica.last_exit = report
            self._say("exited", replica.name, at_s, report=report, asked_for=False)
            self.supervisor.ended(replica, report)
            return
        replica.status, replica.early = "up", False
        self.supervisor.loaded(replica.name, at_s)
        if replica.start_options:
            replica.status, replica.early = "loading", "--early-ready" in replica.start_options
            self._due_at(replica, at_s + LOAD_S + _slow_load_s(replica.start_options), self._loaded(replica))
        else:
            self._ready(replica, at_s)

    def _obstacle(self, replica: FakeReplica) -> tuple[str, str] | None:
        """How a start ends that cannot succeed, and its last words; None: nothing is in its way."""
        if replica.name in self.taken_ports:
            return "exit status 1", "[Errno 98] address already in use"
        if "--hub-url" in replica.start_options:
            hub = replica.start_options[replica.start_options.index("--hub-url") + 1]
            return "exit status 78", f"the model cannot be fetched from {hub}"
        if not any(self.model_folder(replica.name).iterdir()):
            return "exit status 78", "the model is not served: folder: /model is empty"
        if self.file_altered(replica.name) is not False or unreadable(self.model_folder(replica.name)):
            return "exit status 78", "the model is not served"
        return None

    def _loaded(self, replica: FakeReplica) -> Callable[[float], None]:
        def loaded(at_s: float) -> None:
            replica.status, replica.early = "up", False
            self._ready(replica, at_s)

        return loaded

    def _ready(self, replica: FakeReplica, at_s: float) -> None:
        self._say("ready_green", replica.name, at_s)
        self._due(replica, VERIFY_S, lambda later_s: self._admit(replica, later_s))

    def _admit(self, replica: FakeReplica, at_s: float) -> None:
        replica.admitted = True
        self._say("readmitted", replica.name, at_s)

    def _miss_beats(self, replica: FakeReplica, from_s: float) -> None:
        """What is missed for too long is isolated; a fragile gateway looks away."""
        if self._fragile:
            return
        for beat in range(1, MISSED_BEATS + 1):
            self._due_at(replica, from_s + beat * BEAT_S, self._missed(replica, beat))

    def _missed(self, replica: FakeReplica, beat: int) -> Callable[[float], None]:
        def miss(at_s: float) -> None:
            if not replica.admitted:
                return
            self._say("beat_missed", replica.name, at_s, missed=beat)
            if beat == MISSED_BEATS:
                replica.admitted = False
                self._say("isolated", replica.name, at_s, last_routed_s=at_s)

        return miss

    def _due(self, replica: FakeReplica, after_s: float, act: Callable[[float], None]) -> None:
        self._due_at(replica, self.now_s + after_s, act)

    def _due_at(self, replica: FakeReplica, at_s: float, act: Callable[[float], None]) -> None:
        generation = replica.generation

        def if_current(now_s: float) -> None:
            if replica.generation == generation:
                act(now_s)

        heapq.heappush(self._agenda, (at_s, next(self._order), if_current))

    def _say(self, kind: str, replica: str, at_s: float | None = None, **fields: object) -> None:
        self.events.append(
            Event(self.now_s if at_s is None else at_s, f"target.{kind}", {"replica": replica, **fields})
        )


def _slow_load_s(options: Sequence[str]) -> float:
    return float(options[options.index("--slow-load-s") + 1]) if "--slow-load-s" in options else 0.0
