"""The engine: one thread, one bounded queue, up to `active_max` generations that take turns.

A thread of its own, not an executor: many threads would fight for the interpreter lock. Nothing
a request does can end the loop; a request that raises fails alone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from target_service.model.decoding import Decoder, Generation
from target_service.model.text import TextStream
from target_service.protocol.chat import ChatRequest, Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.nan_guard import NanGuard
from target_service.replica.settings import EngineSettings

__all__ = ["Begun", "Disturbance", "Engine", "Event", "Failed", "Finished", "Job", "Piece"]

log = logging.getLogger(__name__)

STOP_WITHIN_S = 2.0
NO_PLACE_LOOK_S = 0.05


@dataclass(frozen=True)
class Begun:
    """The first token is computed; what follows is the answer."""


@dataclass(frozen=True)
class Piece:
    """A non-empty piece of the answer's text."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The answer is whole."""

    finish_reason: str
    usage: Usage


@dataclass(frozen=True)
class Failed:
    """The request ended without a whole answer."""

    rejected: RequestRejectedError


Event = Begun | Piece | Finished | Failed


@dataclass(eq=False)
class Job:
    """A request in the engine. `emit` is called from the engine's thread."""

    request: ChatRequest
    emit: Callable[[Event], None]
    queued_s: float
    express: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    begun_s: float = 0.0
    generation: Generation | None = None
    stream: TextStream | None = None


class Disturbance(Protocol):
    """What may keep the engine from its work on purpose."""

    @property
    def slots_leaked(self) -> int:
        """How many of the `active_max` places no job gets."""

    def before_round(self) -> None:
        """Called by the engine's thread; it computes when this returns."""


class _Undisturbed:
    slots_leaked = 0

    def before_round(self) -> None:
        pass


class Engine:
    """Runs jobs. `submit` and the counters may be used from any thread."""

    def __init__(
        self,
        decoder: Decoder,
        settings: EngineSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        disturbance: Disturbance | None = None,
    ) -> None:
        self._decoder = decoder
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._disturbance = disturbance or _Undisturbed()
        self.nan_guard = NanGuard(settings.nan_guard)
        self._waiting: deque[Job] = deque()
        self._active: deque[Job] = deque()
        self._express: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self.tokens_total = 0
        self.steps_total = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the loop after the current step; open jobs fail with 503."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        # A thread that hangs is left behind: the process ends without it.
        self._thread.join(STOP_WITHIN_S)

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs that take turns, express ones apart."""
        return len(self._active)

    @property
    def running_max(self) -> int:
        """How many may take turns at once."""
        return self._settings.active_max

    @property
    def busy(self) -> bool:
        """Whether there is work; express jobs, which only look, are none."""
        return bool(self._waiting or self._active)

    @property
    def died(self) -> bool:
        """Whether the loop ended though nobody stopped it."""
        return not (self._thread.is_alive() or self._stopping)

    def submit(self, request: ChatRequest, emit: Callable[[Event], None], *, express: bool = False) -> Job:
        """Queue a request; raises RequestRejectedError (429) when the queue is full.

        An express job is never queued and takes no place: it gets its turns beside the others at once. It
        counts as no work and no progress, or a probe that gets through would hide that users do not.
        """
        now_s = self._clock()
        job = Job(request, emit, queued_s=now_s, express=express, begun_s=now_s)
        with self._changed:
            if express:
                self._express.append(job)
                self._changed.notify()
                return job
            if 0 < self._settings.queue_max <= len(self._waiting):
                raise RequestRejectedError(
                    429,
                    f"The queue is full ({self._settings.queue_max} requests wait).",
                    code="queue_full",
                    retry_after_s=1,
                )
            self._waiting.append(job)
            self._changed.notify()
        return job

    def _run(self) -> None:
        while self._admit():
            if self._active or self._express:
                self._round()
        for job in (*self._express, *self._active, *self._waiting):
            self._fail(job, 503, "The server is shutting down.")

    def _round(self) -> None:
        """One step of the batch: every active job gets one token, and together they pay the token cost once."""
        self._disturbance.before_round()
        if self._settings.token_cost_s > 0:
            self._sleep(self._settings.token_cost_s)
        for lane in (self._express, self._active):
            for _ in range(len(lane)):
                # A job stays in its place during its step, so that `running` counts it.
                job = lane[0]
                wants_more = self._turn(job)
                self.steps_total += not job.express
                if wants_more:
                    lane.rotate(-1)
                else:
                    lane.popleft()

    def _admit(self) -> bool:
        """Fill free places from the queue; sleep when there is nothing to do; False to end."""
        with self._changed:
            while not (self.busy or self._express or self._stopping):
                self._changed.wait()
            places = self._settings.active_max - self._disturbance.slots_leaked
            if places <= 0 and not (self._active or self._express or self._stopping):
                self._changed.wait(NO_PLACE_LOOK_S)
            now_s = self._clock()
            too_old_s = now_s - (self._settings.queue_timeout_s or math.inf)
            late = [job for job in self._waiting if job.queued_s < too_old_s]
            for job in [job for job in self._waiting if job in late or self._left(job)]:
                self._waiting.remove(job)
            while self._waiting and len(self._active) < places:
                job = self._waiting.popleft()
                job.begun_s = now_s
                self._active.append(job)
        for job in late:
            waited_s = self._settings.queue_timeout_s
            self._fail(job, 503, f"Not begun within {waited_s:g} s of waiting.", "queue_timeout")
        return not self._stopping

    def _left(self, job: Job) -> bool:
        """Whether to drop a job because its client is gone."""
        return self._settings.cancel_on_disconnect and job.cancelled.is_set()

    def _turn(self, job: Job) -> bool:
        """Advance one job by one token; return whether it wants another turn."""
        if self._left(job):
            return False
        if self._clock() - job.begun_s > (self._settings.run_timeout_s or math.inf):
            limit_s = self._settings.run_timeout_s
            self._fail(job, 504, f"Not finished within {limit_s:g} s.", "run_timeout")
            return False
        try:
            return self._step(job)
        except RequestRejectedError as rejected:
            job.emit(Failed(rejected))
        except Exception as error:
            log.exception("a request failed in the engine")
            self._fail(job, 500, f"{type(error).__name__}: {error}", "engine_error")
        return False

    def _step(self, job: Job) -> bool:
        if job.generation is None or job.stream is None:
            job.generation = self._decoder.begin(job.request.messages, job.request.sampling)
            job.stream = TextStream(job.generation, job.request.sampling)
        stream = job.stream
        text = stream.feed(self.nan_guard.step(job.generation))
        self.tokens_total += not job.express
        if stream.tokens == 1:
            job.emit(Begun())
        if text:
            job.emit(Piece(text))
        if stream.finish_reason is None:
            return True
        usage = Usage(job.generation.prompt_tokens, stream.tokens)
        job.emit(Finished(stream.finish_reason, usage))
        return False

    def _fail(self, job: Job, status: int, message: str, code: str | None = None) -> None:
        retry_after_s = 1 if status == 503 else None
        job.emit(Failed(RequestRejectedError(status, message, code=code, retry_after_s=retry_after_s)))
