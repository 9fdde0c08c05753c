"""The engine: one thread, one bounded queue, up to `active_max` generations that share each forward pass.

A thread of its own, not an executor: many threads would fight for the interpreter lock. Nothing
a request does can end the loop; a request that raises fails alone. Who joins when is `batching`'s business.
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

from target_service.model.decoding import Decoder, Generation, step_together
from target_service.model.text import TextStream
from target_service.protocol.chat import ChatRequest, Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.batching import make_batching
from target_service.replica.nan_guard import NanGuard
from target_service.replica.settings import EngineSettings

__all__ = ["Begun", "Disturbance", "Engine", "Event", "Failed", "Finished", "Job", "Piece"]

log = logging.getLogger(__name__)

STOP_WITHIN_S = 2.0
LOOK_AGAIN_S = 0.05


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
        self._batching = make_batching(settings)
        self._waiting: deque[Job] = deque()
        self._active: list[Job] = []
        self._express: list[Job] = []
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
        """Jobs that get tokens, express ones apart."""
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
        # Jobs stay in their places during the step, so that `running` counts them.
        jobs = [*self._express, *self._active]
        steps = [(job, job.generation) for job in jobs if self._goes_on(job) and job.generation is not None]
        outcomes = step_together(self._decoder, [generation for _, generation in steps])
        more = {job for (job, _), outcome in zip(steps, outcomes, strict=True) if self._took(job, outcome)}
        # Also for who failed or left: the engine moves.
        self.steps_total += sum(not job.express for job in jobs)
        with self._changed:
            ended = set(jobs) - more
            self._express = [job for job in self._express if job not in ended]
            self._active = [job for job in self._active if job not in ended]

    def _admit(self) -> bool:
        """Let jobs join as the batching wants; sleep when there is nothing to do; False to end."""
        with self._changed:
            while not self._stopping:
                now_s = self._clock()
                late = self._late(now_s)
                places = self._settings.active_max - self._disturbance.slots_leaked - len(self._active)
                joining = self._batching.take(self._waiting, len(self._active), places, now_s)
                if late or joining or self._active or self._express:
                    break
                flush_in_s = self._batching.flush_s(self._waiting) - now_s
                look_s = flush_in_s if 0 < flush_in_s < LOOK_AGAIN_S else LOOK_AGAIN_S
                self._changed.wait(look_s if self._waiting else None)
            else:
                return False
            for job in joining:
                job.begun_s = now_s
            self._active += joining
        for job in late:
            waited_s = self._settings.queue_timeout_s
            self._fail(job, 503, f"Not begun within {waited_s:g} s of waiting.", "queue_timeout")
        return True

    def _late(self, now_s: float) -> list[Job]:
        """Take those out of the queue who waited too long, and return them; those who left are just taken out."""
        too_old_s = now_s - (self._settings.queue_timeout_s or math.inf)
        late = []
        while self._waiting and self._waiting[0].queued_s < too_old_s:
            late.append(self._waiting.popleft())
        for job in [job for job in self._waiting if self._left(job)]:
            self._waiting.remove(job)
        return [job for job in late if not self._left(job)]

    def _left(self, job: Job) -> bool:
        """Whether to drop a job because its client is gone."""
        return self._settings.cancel_on_disconnect and job.cancelled.is_set()

    def _goes_on(self, job: Job) -> bool:
        """Whether a job is to get a token now; one that is new is begun, one that took too long fails."""
        if self._left(job):
            return False
        if self._clock() - job.begun_s > (self._settings.run_timeout_s or math.inf):
            limit_s = self._settings.run_timeout_s
            self._fail(job, 504, f"Not finished within {limit_s:g} s.", "run_timeout")
            return False
        return job.generation is not None or self._safely(job, self._begin)

    def _took(self, job: Job, outcome: int | Exception) -> bool:
        """Hand a step's outcome on; return whether the job wants another token."""
        return self._safely(job, lambda job: self._token(job, outcome))

    def _safely(self, job: Job, step: Callable[[Job], bool]) -> bool:
        try:
            return step(job)
        except RequestRejectedError as rejected:
            job.emit(Failed(rejected))
        except Exception as error:
            log.exception("a request failed in the engine")
            self._fail(job, 500, f"{type(error).__name__}: {error}", "engine_error")
        return False

    def _begin(self, job: Job) -> bool:
        job.generation = self._decoder.begin(job.request.messages, job.request.sampling)
        job.stream = TextStream(job.generation, job.request.sampling)
        return True

    def _token(self, job: Job, outcome: int | Exception) -> bool:
        generation, stream = job.generation, job.stream
        assert generation is not None
        assert stream is not None
        text = stream.feed(self.nan_guard.checked(generation, outcome))
        self.tokens_total += not job.express
        if stream.tokens == 1:
            job.emit(Begun())
        if text:
            job.emit(Piece(text))
        if stream.finish_reason is None:
            return True
        job.emit(Finished(stream.finish_reason, Usage(generation.prompt_tokens, stream.tokens)))
        return False

    def _fail(self, job: Job, status: int, message: str, code: str | None = None) -> None:
        retry_after_s = 1 if status == 503 else None
        job.emit(Failed(RequestRejectedError(status, message, code=code, retry_after_s=retry_after_s)))
