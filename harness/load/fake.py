"""Load for the fake stack: the same schedule, the same log, the same outcomes, on a fake clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.load.progress import Progress
from harness.load.spec import LoadSpec
from harness.model.plan import Arrivals
from harness.model.request import Lane, Outcome
from harness.record.append import AppendLog
from harness.record.clock import Clock
from harness.record.request_log import Tail
from harness.stack.fake.links import Effect
from harness.stack.fake.stack import FakeStack
from harness.stack.fake.target import FakeReplica

__all__ = ["FakeLoad"]

LATENCY_S = 0.02
REFUSAL_S = 0.001
NEVER_S = float("inf")


@dataclass
class _LaneState:
    """How far a lane's schedule has been sent."""

    arrivals: Arrivals
    begin_s: float = NEVER_S
    next: int = 0
    ended: bool = False


@dataclass
class _Hanging:
    """A request held by a replica that is paused or computes nothing."""

    lane: str
    index: int
    sent_s: float
    deadline_s: float
    replica: str


class FakeLoad:
    """Sends each arrival to the scripted target at its time."""

    def __init__(self, spec: LoadSpec, stack: FakeStack, clock: Clock, keep_s: float = 60.0) -> None:
        self._spec = spec
        self._stack = stack
        self._clock = clock
        self._lanes: Mapping[str, _LaneState] = {name: _LaneState(arrivals) for name, arrivals in spec.lanes.items()}
        self._log = AppendLog(Path(spec.log_path))
        self._tail = Tail(Path(spec.log_path))
        self._progress = Progress(keep_s)
        self._hanging: list[_Hanging] = []
        self._stopped = False
        self.reason = ""

    def start(self) -> None:
        pass

    def wait_ready(self, deadline_s: float) -> bool:
        return True

    def begin(self, lane: str, at_monotonic_s: float) -> bool:
        self._lanes[lane].begin_s = at_monotonic_s - self._spec.origin_monotonic_s
        self._log.write(["b", lane, _us(self._lanes[lane].begin_s)])
        return True

    def end(self, lane: str) -> bool:
        self._lanes[lane].ended = True
        return True

    def poll(self) -> Progress:
        now_s = self._clock.now() - self._spec.origin_monotonic_s
        if not self._stopped:
            for at_s, lane, index in sorted(self._due(now_s)):
                self._send(lane, index, at_s)
            self._release(now_s)
        return self._progress.add(self._tail.read())

    def alive(self) -> bool:
        return True

    def lane_done(self, lane: str) -> bool:
        state = self._lanes[lane]
        sent = state.next >= len(state.arrivals.scheduled_us)
        return sent and not any(request.lane == lane for request in self._hanging)

    def stop(self, grace_s: float) -> Progress:
        if self._stopped:
            return self._progress
        self.poll()
        self._stopped = True
        for request in self._hanging:
            self._done(
                request.lane,
                request.index,
                (request.sent_s, None, self._clock.now() - self._spec.origin_monotonic_s),
                Outcome.IN_FLIGHT_AT_END,
            )
        self._hanging = []
        self._log.write(["e", "stopped"])
        return self._progress.add(self._tail.read())

    def close(self) -> None:
        self._log.close()

    def _due(self, now_s: float) -> list[tuple[float, str, int]]:
        found = []
        for name, lane in self._lanes.items():
            while not lane.ended and lane.next < len(lane.arrivals.scheduled_us):
                at_s = lane.begin_s + lane.arrivals.scheduled_us[lane.next] / 1e6
                if at_s > now_s:
                    break
                found.append((at_s, name, lane.next))
                lane.next += 1
        return found

    def _send(self, lane: str, index: int, at_s: float) -> None:
        self._log.write(["s", lane, index, _us(at_s)])
        if lane == Lane.CONTROL:
            self._done(lane, index, (at_s, at_s + REFUSAL_S, at_s + REFUSAL_S), Outcome.OK)
            return
        self._release(at_s)
        target = self._stack.target_at(at_s)
        target.received += 1
        replica = target.active()
        effect = self._on_the_way(lane, index, replica)
        if effect.outcome is not None:
            self._end_on_the_way((lane, index, at_s), effect)
        elif replica is None or replica.status in ("dead", "loading"):
            name = replica.name if replica else None
            self._done(
                lane,
                index,
                (at_s, at_s + REFUSAL_S, at_s + REFUSAL_S),
                Outcome.HTTP_ERROR,
                status=502 if replica and replica.status == "dead" else 503,
                by=name,
            )
        elif replica.status == "paused" or replica.silent:
            self._hanging.append(_Hanging(lane, index, at_s, at_s + self._spec.deadline_s, replica.name))
        else:
            wrong = target.file_altered(replica.name) is True
            self._answer(lane, index, (at_s, at_s + effect.delay_s), (replica.name, wrong))

    def _on_the_way(self, lane: str, index: int, replica: FakeReplica | None) -> Effect:
        """What the links do to a request: first the users' own, then the gateway's to the replica, then that itself."""
        links = self._stack.target.links
        crowd = self._stack.target.crowd.effect(self._stack.target.now_s)
        if crowd.outcome is not None:
            return crowd
        stream = self._spec.tasks[self._lanes[lane].arrivals.task[index]].stream
        own = links.effect("gateway", stream=stream)
        if own.outcome is not None or replica is None:
            return own
        behind = links.effect(replica.name, stream=stream)
        if behind.outcome is None and replica.status == "up" and not replica.silent:
            behind = replace(behind, outcome=replica.effect(stream=stream).outcome)
        if behind.outcome is Outcome.REFUSED:  # the gateway turns it into an answer of its own
            behind = Effect(Outcome.HTTP_ERROR, status=502)
        delay_s = own.delay_s + behind.delay_s
        late = delay_s + LATENCY_S > self._spec.deadline_s
        return Effect(behind.outcome or (Outcome.TIMEOUT if late else None), delay_s, behind.status)

    def _end_on_the_way(self, what: tuple[str, int, float], effect: Effect) -> None:
        lane, index, sent_s = what
        waited = effect.outcome in (Outcome.TIMEOUT, Outcome.DEADLINE_MISSED)
        done_s = sent_s + (self._spec.deadline_s if waited else REFUSAL_S)
        silent = effect.outcome in (Outcome.TIMEOUT, Outcome.REFUSED)
        times = (sent_s, None if silent else sent_s + REFUSAL_S, done_s)
        assert effect.outcome is not None
        self._done(lane, index, times, effect.outcome, status=effect.status or (None if silent else 200))

    def _release(self, now_s: float) -> None:
        """End what such a replica holds: past its deadline, or answered since the replica runs again."""
        target = self._stack.target_at(now_s)
        still = []
        for request in self._hanging:
            replica = target.replicas[request.replica]
            if request.deadline_s <= now_s:
                self._done(request.lane, request.index, (request.sent_s, None, request.deadline_s), Outcome.TIMEOUT)
            elif replica.status == "dead":
                self._done(request.lane, request.index, (request.sent_s, None, now_s), Outcome.REFUSED)
            elif replica.status == "up" and not replica.silent:
                self._answer(request.lane, request.index, (request.sent_s, now_s), (request.replica, False))
            else:
                still.append(request)
        self._hanging = still

    def _answer(self, lane: str, index: int, times: tuple[float, float], by: tuple[str, bool]) -> None:
        sent_s, served_s = times
        replica, wrong = by
        self._stack.target.answered[replica] += 1
        outcome = Outcome.WRONG_ANSWER if wrong else Outcome.OK
        self._done(
            lane, index, (sent_s, served_s + LATENCY_S / 2, served_s + LATENCY_S), outcome, status=200, by=replica
        )

    def _done(  # noqa: PLR0913  the fields of one line of the log
        self,
        lane: str,
        index: int,
        times: tuple[float, float | None, float],
        outcome: Outcome,
        *,
        status: int | None = None,
        by: str | None = None,
    ) -> None:
        sent_s, first_s, done_s = times
        good = outcome in (Outcome.OK, Outcome.WRONG_ANSWER) and lane != Lane.CONTROL
        ttft_us = _us(first_s - sent_s) if good and first_s is not None else None
        gap_us, tokens = (2000, 4) if good else (None, None)
        first_us = None if first_s is None else _us(first_s)
        self._log.write(
            [
                "d",
                lane,
                index,
                _us(sent_s),
                first_us,
                _us(done_s),
                outcome,
                status,
                by,
                ttft_us,
                gap_us,
                tokens,
                int(good),
                None,
            ]
        )


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
