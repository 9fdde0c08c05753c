"""Watches the target from the side: gateway, replicas and supervisor are asked directly, not through the proxy.

Three threads, so that a hung replica cannot delay what the gateway reports, nor a hung gateway what the supervisor
does.
Every question has a total time limit; a server that does not answer is simply asked again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.model.event import Event
from harness.record.clock import Clock
from harness.stack.http_get import Answer, get_json
from harness.stack.reference.gateway_events import counters, gateway_events, since, supervision_event
from harness.stack.reference.settings import Ports

__all__ = ["SupervisionTail", "Witness", "counted"]

EVENTS_EVERY_S = 0.2
COUNTERS_EVERY_S = 1.0
ANSWER_WITHIN_S = 0.8
FINAL_ANSWER_WITHIN_S = 1.0


@dataclass(frozen=True)
class Scene:
    """What is watched, and on which clock."""

    ports: Ports
    supervision: Callable[[], list[Event]]  # what is new of starts and ends, as whoever supervises the target says
    clock: Clock
    origin_s: float
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what each server had counted for others
    balancer: Callable[[], list[Event]] | None = None  # what is new of a balancer that is not our gateway


class Witness:
    """Collects events until `stop`; `take` hands them over."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._collected: list[Event] = []
        self._gateway = GatewaySequence(scene)
        duties = (
            (scene.balancer or self._gateway.new_events, EVENTS_EVERY_S),
            (scene.supervision, EVENTS_EVERY_S),
            (self._counters, COUNTERS_EVERY_S),
        )
        self._threads = [threading.Thread(target=self._repeat, args=duty, daemon=True) for duty in duties]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns within a second; what was collected stays to be taken."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(ANSWER_WITHIN_S + 0.2)

    def take(self) -> list[Event]:
        """Everything new, in the order of its time; never waits for a server."""
        with self._lock:
            taken, self._collected = self._collected, []
        return sorted(taken, key=lambda event: event.at_s)

    def final_counters(self) -> list[Event]:
        """Ask everybody once more, all at the same time."""
        return self._counters(FINAL_ANSWER_WITHIN_S)

    def _counters(self, within_s: float = ANSWER_WITHIN_S) -> list[Event]:
        sources = {name: f"{self._scene.ports.url(name)}/counters" for name in self._scene.ports.replicas}
        if self._scene.balancer is None:
            sources["gateway"] = f"{self._scene.ports.url('gateway')}/gateway/state"
        found: list[Event] = []
        threads = [
            threading.Thread(target=self._ask, args=(name, url, within_s, found), daemon=True)
            for name, url in sources.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(within_s + 0.1)
        return list(found)

    def _ask(self, source: str, url: str, within_s: float, found: list[Event]) -> None:
        answer = get_json(url, clock=self._scene.clock, total_s=within_s)
        if answer is not None and answer.status == 200 and answer.body:
            at_s = self._scene.clock.now() - self._scene.origin_s
            body = since(answer.body, self._scene.before.get(source, {}))
            found.append(counters(source, body, at_s, self._scene.origin_s))

    def _repeat(self, duty: Callable[[], list[Event]], every_s: float) -> None:
        while not self._stopping.is_set():
            events = duty()
            with self._lock:
                self._collected += events
            self._stopping.wait(every_s)


def counted(ports: Ports, clock: Clock) -> dict[str, Mapping[str, Any]]:
    """What each replica has counted by now; one that does not answer has no entry."""
    urls = {name: f"{ports.url(name)}/counters" for name in ports.replicas}
    answers = {name: get_json(url, clock=clock, total_s=ANSWER_WITHIN_S) for name, url in urls.items()}
    return {name: answer.body for name, answer in answers.items() if answer is not None and answer.status == 200}


class GatewaySequence:
    """Reads the gateway's events in sequence; a restarted gateway begins a new one."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._incarnation: object = None
        self._since = 0

    def new_events(self) -> list[Event]:
        answer = self._ask()
        if answer is None:
            return []
        incarnation = answer.body["incarnation"]
        if incarnation != self._incarnation:
            self._incarnation = incarnation
            if self._since:
                self._since = 0
                return self.new_events()  # what we asked for was counted in the old sequence
        rows = answer.body["events"]
        self._since = max([self._since, *(int(row["seq"]) for row in rows)])
        return gateway_events(rows, self._scene.origin_s, incarnation)

    def _ask(self) -> Answer | None:
        url = f"{self._scene.ports.url('gateway')}/gateway/events?since={self._since}"
        answer = get_json(url, clock=self._scene.clock, total_s=ANSWER_WITHIN_S)
        complete = answer is not None and answer.status == 200 and {"incarnation", "events"} <= answer.body.keys()
        return answer if complete else None


class SupervisionTail:
    """Reads what the event listener of supervisord appends to `path`.

    `programs` are those that count; `exit_reports`: pid -> (program, how it ended).
    """

    def __init__(
        self,
        path: Path,
        programs: Container[str],
        exit_reports: Callable[[], dict[int, tuple[str, str]]],
        origin_s: float,
    ) -> None:
        self._path = path
        self._programs = programs
        self._exit_reports = exit_reports
        self._origin_s = origin_s
        self._read_to = 0
        self._pids: dict[str, int] = {}  # of each program's current process: BACKOFF does not say it

    def new_events(self) -> list[Event]:
        events = []
        for line in self._new_lines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row.get("program") not in self._programs:
                continue
            events.append(self._event(row))
        return [event for event in events if event is not None]

    def _event(self, row: dict[str, object]) -> Event | None:
        program, pid = str(row["program"]), row.get("pid")
        if isinstance(pid, int):
            self._pids[program] = pid
        elif row.get("state") == "STARTING":
            self._pids.pop(program, None)  # it died before anybody could ask for its pid
        else:
            row = {**row, "pid": self._pids.get(program)}
        report = self._exit_reports().get(self._pids.get(program, 0)) if row.get("state") != "STARTING" else None
        return supervision_event(row, self._origin_s, report[1] if report else None)

    def _new_lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                complete = file.read().rpartition(b"\n")[0]
        except OSError:
            return []
        if not complete:
            return []
        self._read_to += len(complete) + 1
        return complete.split(b"\n")
