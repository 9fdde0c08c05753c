"""What the HTTP side sees of an engine, whether it is a thread of this process or a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from target_service.protocol.chat import ChatRequest
from target_service.replica.engine import Event

__all__ = ["EngineFace", "HeldModel", "ModelFacts", "OpenJob"]


class _Settable(Protocol):
    def set(self) -> None: ...


class OpenJob(Protocol):
    """A request that the engine has taken."""

    @property
    def cancelled(self) -> _Settable:
        """Set it when the client has left."""

    @property
    def queued_s(self) -> float:
        """When it was submitted, monotonic."""

    @property
    def begun_s(self) -> float:
        """When it left the queue; right once its first event has come."""


class _CountsNonFinite(Protocol):
    @property
    def non_finite_total(self) -> int: ...


class EngineFace(Protocol):
    """Runs requests. The counters may be read from any thread; an engine elsewhere may be a beat ahead of them."""

    @property
    def waiting(self) -> int: ...

    @property
    def running(self) -> int: ...

    @property
    def running_max(self) -> int: ...

    @property
    def busy(self) -> bool: ...

    @property
    def died(self) -> bool: ...

    @property
    def tokens_total(self) -> int: ...

    @property
    def steps_total(self) -> int: ...

    @property
    def nan_guard(self) -> _CountsNonFinite: ...

    def submit(self, request: ChatRequest, emit: Callable[[Event], None], *, express: bool = False) -> OpenJob: ...

    def stop(self) -> None: ...


class ModelFacts(Protocol):
    """What can be told of the model that an engine holds."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries that it was loaded with."""

    async def digests(self) -> Mapping[str, str]:
        """SHA-256 of what is in memory now, as hex: `params_sha256`, `config_sha256`, `tokenizer_sha256`."""

    async def fingerprint(self, texts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Of texts with `messages` and `answer`: `dtype`, and `logprobs` of each answer, one number a token."""


class HeldModel(ModelFacts, Protocol):
    """A model in this process's memory."""

    def digests_now(self) -> Mapping[str, str]:
        """The digests, computed in the calling thread."""

    def fingerprint_now(self, texts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The fingerprint, computed in the calling thread."""
