"""The parameters of the faults that users do to a service: more of them than planned, or worse behaved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Interval

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = [
    "TRAFFIC_FAULTS",
    "TrafficAbandon",
    "TrafficBurst",
    "TrafficFault",
    "TrafficIdleConnections",
    "TrafficLongPrompt",
    "TrafficRetryStorm",
]

RatePerS = Annotated[float, Gt(0), Interval(le=2000)]


@dataclass(frozen=True, kw_only=True)
class TrafficFault(Fault):
    """What every one has: strangers beside the measured users, on the same way to the service."""

    needs: ClassVar[Capability] = Capability.TRAFFIC
    on: Literal["gateway"] = "gateway"
    """Where they go: where users go."""
    for_s: SecondsAboveZero = 10.0
    """How long they come. Afterwards none of their connections is left open."""

    @property
    def lasts_s(self) -> float:
        return self.for_s

    @property
    def arguments(self) -> Mapping[str, int | float]:
        """What is not every fault's own, by name."""
        common = {field.name for field in dataclasses.fields(TrafficFault)}
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in common}
        return {name: value for name, value in own.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class TrafficBurst(TrafficFault):
    """Many more requests than usual, all of them ordinary."""

    kind: Literal["traffic.burst"] = "traffic.burst"
    rate_per_s: RatePerS = 200.0
    """So many more, evenly spaced, whatever becomes of them."""
    output_tokens: Annotated[int, Interval(ge=1, le=100_000)] | None = None
    """How long an answer each asks for. Default: as users do; a cache must not take another length for the same."""


@dataclass(frozen=True, kw_only=True)
class TrafficLongPrompt(TrafficFault):
    """Requests with prompts that are long, or too long for the model."""

    kind: Literal["traffic.long_prompt"] = "traffic.long_prompt"
    words: Annotated[int, Interval(ge=1, le=200_000)] = 400
    """Of each prompt. The small model's context is 512 tokens."""
    rate_per_s: RatePerS = 20.0
    """So many of them."""


@dataclass(frozen=True, kw_only=True)
class TrafficAbandon(TrafficFault):
    """Users who ask for long answers and leave before they come."""

    kind: Literal["traffic.abandon"] = "traffic.abandon"
    rate_per_s: RatePerS = 50.0
    """So many of them."""
    after_s: SecondsAboveZero = 0.2
    """How long each waits."""
    output_tokens: Annotated[int, Interval(ge=1, le=100_000)] = 400
    """How long an answer each asks for."""


@dataclass(frozen=True, kw_only=True)
class TrafficRetryStorm(TrafficFault):
    """Clients that ask again at once when they were refused or had to wait, and go on until they are served."""

    kind: Literal["traffic.retry_storm"] = "traffic.retry_storm"
    clients: Annotated[int, Interval(ge=1, le=1000)] = 100
    """So many; each asks again after a second when it was served."""
    patience_s: SecondsAboveZero = 0.5
    """How long each waits before it asks again."""
    output_tokens: Annotated[int, Interval(ge=1, le=100_000)] = 100
    """How long an answer each asks for."""


@dataclass(frozen=True, kw_only=True)
class TrafficIdleConnections(TrafficFault):
    """Connections that are opened and say nothing."""

    kind: Literal["traffic.idle_connections"] = "traffic.idle_connections"
    connections: Annotated[int, Interval(ge=1, le=10_000)] = 200
    """So many."""


TRAFFIC_FAULTS: Mapping[str, type[TrafficFault]] = {
    "traffic.abandon": TrafficAbandon,
    "traffic.burst": TrafficBurst,
    "traffic.idle_connections": TrafficIdleConnections,
    "traffic.long_prompt": TrafficLongPrompt,
    "traffic.retry_storm": TrafficRetryStorm,
}
