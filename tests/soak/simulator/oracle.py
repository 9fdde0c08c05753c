"""The simulator's model once more, as one would tell it: a simpy process per request, an event for all that happens."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from harness.soak.simulator import Clients, End, Outage, Service

Steps = Generator[simpy.Event, Any, Any]


@dataclass(eq=False)
class Attempt:
    service_s: float
    done: simpy.Event
    lost: simpy.Event
    gone: simpy.Event
    sent_s: float


@dataclass
class Replica:
    """`servers` at once, the others wait in order; `hung` and `crashed` are switched by its outages."""

    env: simpy.Environment
    servers: int
    queue_limit: int | None
    cancels: bool
    hung: bool = False
    crashed: bool = False
    waiting: list[Attempt] = field(default_factory=list)
    serving: list[Attempt] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    longest_queue: int = 0
    changed: simpy.Event = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.changed = self.env.event()

    def switch(self, *, hung: bool, crashed: bool) -> None:
        self.hung, self.crashed = hung, crashed
        if crashed:
            for attempt in [*self.serving, *self.waiting]:
                if not attempt.gone.triggered:
                    attempt.lost.succeed()
            self.serving, self.waiting = [], []
        tell, self.changed = self.changed, self.env.event()
        tell.succeed()
        self.look()

    def offer(self, attempt: Attempt) -> End | None:
        if self.crashed:
            return End.REFUSED
        if len(self.serving) >= self.servers and self.queue_limit is not None and len(self.waiting) >= self.queue_limit:
            return End.REJECTED
        self.waiting.append(attempt)
        if len(self.serving) < self.servers:
            self.begin()
        else:
            self.longest_queue = max(self.longest_queue, len(self.waiting))
        return None

    def look(self) -> None:
        """Drop who has gone, serve who is next; not while it hangs."""
        if self.hung or self.crashed:
            return
        if self.cancels:
            self.waiting = [one for one in self.waiting if not one.gone.triggered]
            self.serving = [one for one in self.serving if not one.gone.triggered]
        while self.waiting and len(self.serving) < self.servers:
            self.begin()

    def begin(self) -> None:
        attempt = self.waiting.pop(0)
        self.serving.append(attempt)
        self.waits_s.append(self.env.now - attempt.sent_s)
        self.env.process(self.serve(attempt))

    def serve(self, attempt: Attempt) -> Steps:
        left_s = attempt.service_s
        while True:
            begin_s, hung = self.env.now, self.hung
            finish = self.env.event() if hung else self.env.timeout(left_s)
            yield finish | self.changed
            if attempt not in self.serving:
                return
            if finish.processed:
                break
            left_s -= 0 if hung else self.env.now - begin_s
        self.serving.remove(attempt)
        if not attempt.gone.triggered:
            attempt.done.succeed()
        self.look()


class Oracle:
    """Runs requests to their ends: `ends` and `latencies_s` by index."""

    def __init__(self, service: Service, clients: Clients, outages: Sequence[Outage]) -> None:
        assert not clients.jitter
        self.env = simpy.Environment()
        self.service, self.clients, self.outages = service, clients, outages
        limits = service.servers, service.queue_limit, service.cancels
        self.replicas = [Replica(self.env, *limits) for _ in range(service.replicas)]
        self.saved, self.rotation, self.retries, self.denied = 0.0, 0, 0, 0
        self.ends: dict[int, End] = {}
        self.latencies_s: dict[int, float] = {}

    def run(self, arrivals_s: Sequence[float], services_s: Sequence[float]) -> None:
        for moment in sorted({time for one in self.outages for time in (one.begin_s, one.end_s)}):
            self.env.process(self.turn(moment))
        for index, (due_s, service_s) in enumerate(zip(arrivals_s, services_s, strict=True)):
            self.env.process(self.request(index, due_s, service_s))
        self.env.run()

    def turn(self, moment: float) -> Steps:
        yield self.env.timeout(moment)
        for number, replica in enumerate(self.replicas):
            now = [one.kind for one in self.outages if one.replica == number and one.begin_s <= moment < one.end_s]
            state = {"hung": bool(now) and "crash" not in now, "crashed": "crash" in now}
            if state != {"hung": replica.hung, "crashed": replica.crashed}:
                replica.switch(**state)

    def believed_up(self, number: int) -> bool:
        spans: list[list[float]] = []
        for one in sorted((o for o in self.outages if o.replica == number), key=lambda o: o.begin_s):
            if spans and one.begin_s <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], one.end_s)
            else:
                spans.append([one.begin_s, one.end_s])
        detect_s, readmit_s = self.service.detect_s, self.service.readmit_s
        return not any(
            end - begin > detect_s and begin + detect_s <= self.env.now < end + readmit_s for begin, end in spans
        )

    def route(self, avoid: int) -> int | None:
        order = list(range(len(self.replicas)))
        if self.service.routing == "spread":
            order = order[self.rotation :] + order[: self.rotation]
            self.rotation = (self.rotation + 1) % len(order)
        up = [number for number in order if self.believed_up(number)]
        return next((number for number in up if number != avoid), up[0] if up else None)

    def request(self, index: int, due_s: float, service_s: float) -> Steps:
        yield self.env.timeout(due_s)
        clients, deadline_s = self.clients, due_s + (self.clients.deadline_s or float("inf"))
        if clients.retry_share is not None:
            self.saved = min(self.saved + clients.retry_share, clients.saved_max)
        tries, number = 0, -1
        while True:
            tries += 1
            self.retries += tries > 1
            number, end = yield from self.once(number, service_s, deadline_s)
            if end is End.OK or tries == clients.tries_max or (end is End.REJECTED and not clients.retry_rejected):
                break
            wait_s = min(clients.backoff_s * 2 ** (tries - 1), clients.backoff_max_s)
            if self.env.now + wait_s >= deadline_s:
                break
            if clients.retry_share is not None:
                if self.saved < 1 - 1e-9:
                    self.denied += 1
                    break
                self.saved = max(0.0, self.saved - 1)
            yield self.env.timeout(wait_s)
        self.ends[index] = end
        self.latencies_s[index] = self.env.now - due_s

    def once(self, avoid: int, service_s: float, deadline_s: float) -> Generator[simpy.Event, Any, tuple[int, End]]:
        number = self.route(avoid)
        if number is None:
            return -1, End.REFUSED
        env, replica = self.env, self.replicas[number]
        attempt = Attempt(service_s, env.event(), env.event(), env.event(), env.now)
        if (end := replica.offer(attempt)) is not None:
            return number, end
        give_up_s = min(deadline_s, env.now + (self.clients.try_timeout_s or float("inf")))
        limit = env.timeout(give_up_s - env.now) if give_up_s < float("inf") else env.event()
        yield attempt.done | attempt.lost | limit
        if attempt.done.triggered:
            return number, End.OK
        if attempt.lost.triggered:
            return number, End.RESET
        attempt.gone.succeed()
        replica.look()
        return number, End.TIMEOUT
