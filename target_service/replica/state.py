"""Where a replica stands: loading, ready, bad or draining. One writer, the event loop."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from target_service.protocol.counting import DistinctCounter
from target_service.protocol.reasoning import Plain, Splitter
from target_service.replica.configuration import Configuration
from target_service.replica.engine_face import EngineFace, ModelFacts
from target_service.replica.health import EngineHealth
from target_service.replica.integrity import Verification

__all__ = ["Counters", "ReplicaState", "Serving"]


@dataclass(frozen=True)
class Serving:
    """What a replica has once its model is loaded; `verified` None means nothing to verify by.

    `recheck` verifies again and raises BadModelError; None where verification is off.
    """

    engine: EngineFace
    loaded: ModelFacts
    verified: bool | None
    verified_note: str
    load_s: float
    recheck: Callable[[], None] | None = None


@dataclass
class Counters:
    """User requests and probes apart; `answered` were sent whole with status 200."""

    user_ids: DistinctCounter = field(default_factory=DistinctCounter)
    received: int = 0
    answered: int = 0
    probe_received: int = 0
    probe_answered: int = 0
    open: int = 0

    def body(self) -> dict[str, int]:
        """The counts as JSON keys."""
        return {
            "received_distinct": self.user_ids.count,
            "received": self.received,
            "answered": self.answered,
            "probe_received": self.probe_received,
            "probe_answered": self.probe_answered,
            "open": self.open,
        }


@dataclass
class ReplicaState:
    """Everything the handlers look at."""

    name: str
    model: str
    weights_sha256: str | None = None
    version: str | None = None
    service: str = "all-in-one"
    folder: Path | None = None  # the model's, for the endpoints of its service
    splitter: Callable[[], Splitter] = Plain
    serving: Serving | None = None
    reason: str = "the model is loading"
    draining: bool = False
    incarnation: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_monotonic_s: float = field(default_factory=time.monotonic)
    counters: Counters = field(default_factory=Counters)
    health: EngineHealth | None = None
    early_ready: bool = False
    verification: Verification = field(default_factory=Verification)
    configuration: Configuration | None = None
    memory_problem: str | None = None
    engine_pid: int | None = None
    engine_starts: int = 0
    claims_ready: Callable[[], bool] = lambda: False

    @property
    def ready(self) -> bool:
        """Whether users may be sent here."""
        return bool(self.ready_body()["ready"])

    @property
    def refusal(self) -> str | None:
        """Why requests are refused, or None."""
        if self.draining:
            return "draining"
        return self.reason if self.serving is None else self.verification.problem or self.memory_problem

    @property
    def refusal_code(self) -> str:
        """Of the refusal: memory comes and goes, so that nobody should take users away for it at once."""
        passing = self.memory_problem is not None and self.refusal == self.memory_problem
        return "memory_pressure" if passing else "not_ready"

    @property
    def model_version(self) -> str:
        """What answers of one model have in common; with no hash that was verified, another start may be another."""
        verified = self.serving is not None and self.serving.verified
        if verified and self.weights_sha256:
            return self.weights_sha256
        return f"{self.weights_sha256 or self.incarnation}/{self.engine_starts}"

    @property
    def engine_problem(self) -> str | None:
        """Why the engine is not healthy; None if it is, or if nobody looks that deep."""
        if self.health is None or self.serving is None:
            return None
        engine = self.serving.engine
        return self.health.problem(time.monotonic(), engine.tokens_total, waiting=engine.waiting > 0)

    def ready_body(self) -> dict[str, Any]:
        """The JSON of /ready."""
        problem = self.refusal or self.engine_problem
        early = (self.early_ready or self.claims_ready()) and self.serving is None and not self.draining
        body: dict[str, Any] = {"ready": problem is None or early, "name": self.name, "incarnation": self.incarnation}
        if self.configuration is not None:
            body |= self.configuration.ready_keys()
        if self.serving is None or self.draining:
            return {**body, "reason": problem, **self.verification.failure()}
        verified = self.serving.verified if self.verification.problem is None else False
        age_s = self.verification.age_s(time.monotonic())
        age = {} if age_s is None else {"verified_age_s": round(age_s, 3)}
        return {**body, "verified": verified, "reason": problem or self.serving.verified_note, **age,
                **self.verification.failure()}  # fmt: skip
