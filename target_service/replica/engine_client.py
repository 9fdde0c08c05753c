"""The server's end: an engine in another process, with the face of one in this process.

Lives on the event loop and never blocks it: what the engine does not read is kept, up to a bound, and beyond that
requests are refused here. Its counters are as old as the engine's last word, a beat at most, so what was submitted
since is added: an engine that was stopped as a whole still shows that it has work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from target_service.protocol.chat import ChatRequest
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Event, Failed, Finished
from target_service.replica.settings import EngineSettings
from target_service.replica.shared_requests import SharedRequests
from target_service.replica.wire import Frames, Status, WireError, encode, event_from, request_message

__all__ = ["EngineClient", "EngineGoneError", "Totals", "gone"]

log = logging.getLogger(__name__)

# Beyond its own limits, an engine that answers late may be owed this many requests more.
SLACK = 64
UNREAD_BYTES_MAX = 32 * 2**20
DIGEST_WITHIN_S = 30.0


class EngineGoneError(Exception):
    """The engine's process ended, or was given up, before it replied."""


@dataclass(frozen=True)
class Totals:
    """What engines before this one had counted, so that no counter falls when an engine is replaced."""

    tokens: int = 0
    steps: int = 0
    non_finite: int = 0


class Hears(Protocol):
    """Who is told what the engine says of itself; all on the loop."""

    def loaded(self, facts: Mapping[str, Any]) -> None:
        """The model is loaded and proven."""

    def bad(self, reason: str) -> None:
        """The model is not served."""


@dataclass(eq=False)
class _RemoteJob:
    client: EngineClient
    number: int
    emit: Callable[[Event], None]
    queued_s: float
    begun_s: float = 0.0

    @property
    def cancelled(self) -> _RemoteJob:
        return self

    def set(self) -> None:
        """The client has left: tell the engine, once."""
        self.client.cancel(self.number)


@dataclass
class _NonFinite:
    non_finite_total: int


class EngineClient(asyncio.Protocol):
    """One engine's process, as long as it lives; `before` are the totals of the engines before it."""

    def __init__(
        self,
        settings: EngineSettings,
        hears: Hears,
        before: Totals | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.hears = hears
        self.before = before or Totals()
        self.status = Status()
        self._clock = clock
        self.closed = asyncio.Event()  # everything that the engine said has been read
        self._jobs: dict[int, _RemoteJob] = {}
        self._shared = SharedRequests()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._submits = 0
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._given_up: str | None = None

    # -- the face of an engine

    @property
    def waiting(self) -> int:
        """Requests that wait, as far as is known."""
        return self.status.waiting + self._unread

    @property
    def running(self) -> int:
        """Requests that take turns, as far as is known."""
        return self.status.running

    @property
    def running_max(self) -> int:
        """Requests that may take turns at once."""
        return self.settings.active_max

    @property
    def busy(self) -> bool:
        """Whether there is work."""
        return self._given_up is None and (self.status.busy or self._unread > 0)

    @property
    def died(self) -> bool:
        """Whether the engine's loop has ended in a process that lives."""
        return self.status.died

    @property
    def tokens_total(self) -> int:
        """Tokens for users, of this engine and those before it."""
        return self.before.tokens + self.status.tokens_total

    @property
    def steps_total(self) -> int:
        """Steps for users, of this engine and those before it."""
        return self.before.steps + self.status.steps_total

    @property
    def nan_guard(self) -> _NonFinite:
        """The count of non-finite logits."""
        return _NonFinite(self.before.non_finite + self.status.non_finite_total)

    @property
    def totals(self) -> Totals:
        """What the next engine begins with."""
        return Totals(self.tokens_total, self.steps_total, self.nan_guard.non_finite_total)

    def submit(self, request: ChatRequest, emit: Callable[[Event], None], *, express: bool = False) -> _RemoteJob:
        """Send a request; raises RequestRejectedError (429, 503, 500) when there is no room for it."""
        self._number += 1
        now_s = self._clock()
        job = _RemoteJob(self, self._number, emit, queued_s=now_s, begun_s=now_s)
        if self._given_up is not None:
            emit(Failed(gone(self._given_up)))
            return job
        message = request_message(job.number, request, express=express)
        if not express:
            self._check_room()
            message = self._shared.hand_over(job.number, message) if self.settings.requests_in_shm else message
            self._submits += 1
        self._jobs[job.number] = job
        self.send(message)
        return job

    def stop(self) -> None:
        """Ask the engine to end; open requests fail with 503."""
        self.send(["stop"])

    # -- more than an engine

    def cancel(self, number: int) -> None:
        """Forget a request whose client has left."""
        if self._jobs.pop(number, None) is not None:
            self._shared.release(number)
            self.send(["cancel", number])

    def send(self, message: list[Any]) -> None:
        """Send a message; into the void when nobody is there any more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode([message]))

    async def call(self, what: str, within_s: float, argument: Any = None) -> Any:
        """Ask for one of `engine_end.ANSWERS`; raises EngineGoneError, TimeoutError or, with the reason, ValueError."""
        if self._given_up is not None:
            raise EngineGoneError(self._given_up)
        self._number += 1
        number = self._number
        self._calls[number] = asyncio.get_running_loop().create_future()
        self.send(["call", number, what, argument])
        try:
            return await asyncio.wait_for(self._calls[number], within_s)
        finally:
            self._calls.pop(number, None)

    def give_up(self, reason: str) -> None:
        """The engine has gone: every open request fails at once, every later one too."""
        self._given_up = reason
        if self._transport is not None:
            self._transport.abort()
        jobs, self._jobs = list(self._jobs.values()), {}
        calls, self._calls = list(self._calls.values()), {}
        self._shared.clear()
        for job in jobs:
            job.emit(Failed(gone(reason)))
        for future in calls:
            if not future.done():
                future.set_exception(EngineGoneError(reason))

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """The engine said something."""
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except (WireError, TypeError, ValueError, KeyError, IndexError):
            log.exception("the engine's process does not keep to the protocol")
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """The connection has ended."""
        self.closed.set()

    # -- internal

    @property
    def _unread(self) -> int:
        """Requests that the engine had not taken when it last spoke."""
        return max(0, self._submits - self.status.submits)

    def _check_room(self) -> None:
        limit = self.settings.queue_max
        if limit > 0 and limit + self.settings.active_max + SLACK <= len(self._jobs):
            message = f"The engine owes {len(self._jobs)} answers and takes no more."
            raise RequestRejectedError(429, message, code="queue_full", retry_after_s=1)
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if unsent + self._shared.bytes > UNREAD_BYTES_MAX:
            raise RequestRejectedError(503, "The engine does not read.", code="engine_silent", retry_after_s=1)

    def _take(self, message: list[Any]) -> None:
        match message:
            case ["event", int(number), *parts]:
                self._event(number, event_from(parts))
            case ["waited", int(number), float(waited_s)]:
                waiting = self._jobs.get(number)
                if waiting is not None:
                    waiting.begun_s = waiting.queued_s + waited_s
            case ["status", dict(numbers)]:
                self.status = Status(**numbers)
            case ["result", int(number), value]:
                self._settle(number, value, None)
            case ["refused", int(number), str(reason)]:
                self._settle(number, None, ValueError(reason))
            case ["loaded", dict(facts)]:
                self.hears.loaded(facts)
            case ["bad", str(reason)]:
                self.hears.bad(reason)
            case _:
                raise WireError(f"{message[0]!r} is no message of an engine")

    def _event(self, number: int, event: Event) -> None:
        # An unknown number is a request whose client has left.
        job = self._jobs.get(number)
        if job is None:
            return
        if isinstance(event, Finished | Failed):
            del self._jobs[number]
            self._shared.release(number)
        job.emit(event)

    def _settle(self, number: int, value: Any, error: Exception | None) -> None:
        future = self._calls.get(number)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def gone(reason: str) -> RequestRejectedError:
    """What a request hears whose engine has died."""
    return RequestRejectedError(503, f"The engine is gone: {reason}.", code="engine_gone", retry_after_s=1)
