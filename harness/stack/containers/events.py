"""What the engine tells of a run's containers, as events on the run's clock.

An engine stamps its events with wall time. A stamp becomes monotonic by its age when it is read, so a wall clock that
jumps between two events moves none but those that are read late.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.event import Event
from harness.record.clock import Clock

__all__ = ["ContainerTail", "exit_words", "the_end"]

SIGNALS = {129: "SIGHUP", 130: "SIGINT", 132: "SIGILL", 134: "SIGABRT", 135: "SIGBUS", 136: "SIGFPE", 137: "SIGKILL",
           139: "SIGSEGV", 143: "SIGTERM"}  # fmt: skip
ASKED_WITHIN_S = 60.0  # a container that was told to stop may take that long


def exit_words(code: int) -> str:
    """An exit code in the words of a supervisor: 137 is "terminated by SIGKILL", 1 is "exit status 1"."""
    return f"terminated by {SIGNALS[code]}" if code in SIGNALS else f"exit status {code}"


def the_end(attributes: Mapping[str, str]) -> int:
    """The exit code of a `die` event."""
    return int(attributes.get("exitCode", -1))


@dataclass
class _Watched:
    pid: int | None = None
    asked_s: float | None = None


class ContainerTail:
    """Reads the engine's events in a thread of its own; `new_events` never waits.

    `stream`: events from now on. `server_pid`: service -> pid of its server process, asked when it has started.
    """

    def __init__(
        self,
        stream: Callable[[], Iterator[Mapping[str, Any]]],
        server_pid: Callable[[str], int | None],
        clock: Clock,
        origin_s: float,
    ) -> None:
        self._stream = stream
        self._server_pid = server_pid
        self._clock = clock
        self._origin_s = origin_s
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._watched: dict[str, _Watched] = {}
        self._ends: dict[int, tuple[str, str]] = {}
        self._ooms: Counter[str] = Counter()
        self.broken: str | None = None

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="container-events", daemon=True).start()

    def new_events(self) -> list[Event]:
        with self._lock:
            taken, self._events = self._events, []
        return taken

    def exit_reports(self) -> dict[int, tuple[str, str]]:
        """pid of a server -> (service, how it ended)."""
        with self._lock:
            return dict(self._ends)

    def ooms(self, service: str) -> int:
        """How often its container ran out of memory, as the kernel told the engine."""
        with self._lock:
            return self._ooms[service]

    def note_pid(self, service: str, pid: int) -> None:
        """Whoever has seen a server's pid says so: at its start it may not have been there yet."""
        with self._lock:
            self._watched.setdefault(service, _Watched()).pid = pid

    def _read(self) -> None:
        try:
            for raw in self._stream():
                self._take(raw)
            self.broken = "the engine ended its stream of events"
        except Exception as error:  # noqa: BLE001  whatever ends the stream, the run goes on and says so
            self.broken = f"the engine's events cannot be read: {error}"

    def _take(self, raw: Mapping[str, Any]) -> None:
        actor = raw.get("Actor", {}).get("Attributes", {})
        service = actor.get("com.docker.compose.service")
        action = str(raw.get("Action", ""))
        if service is None:
            return
        age_s = self._clock.wall_s() - int(raw.get("timeNano", 0)) / 1e9
        at_s = self._clock.now() - max(0.0, age_s) - self._origin_s
        pid = self._server_pid(service) if action == "start" else None
        with self._lock:
            event = self._event(action, service, at_s, (pid, actor))
            if event is not None:
                self._events.append(event)

    def _event(
        self, action: str, service: str, at_s: float, what: tuple[int | None, Mapping[str, str]]
    ) -> Event | None:
        pid, attributes = what
        watched = self._watched.setdefault(service, _Watched())
        if action == "kill":
            watched.asked_s = at_s
        elif action == "start":
            watched.pid = pid
            return Event(at_s, "target.started", {"replica": service, "pid": pid})
        elif action == "oom":
            self._ooms[service] += 1
            return Event(at_s, "target.oom", {"replica": service})
        elif action == "die":
            how = exit_words(the_end(attributes))
            asked = watched.asked_s is not None and at_s - watched.asked_s < ASKED_WITHIN_S
            ended, watched.pid, watched.asked_s = watched.pid, None, None
            if ended is not None:
                self._ends[ended] = (service, how)
            return Event(at_s, "target.exited", {"replica": service, "pid": ended, "how": how, "asked_for": asked})
        return None
