"""The parameters of the network's faults: each breaks one link between clients, gateway and replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = [
    "STREAM_FAULTS",
    "NetworkBandwidth",
    "NetworkBlackhole",
    "NetworkCorrupt",
    "NetworkDown",
    "NetworkFault",
    "NetworkHttpStatus",
    "NetworkLatency",
    "NetworkReset",
    "NetworkSlowClose",
    "NetworkSseStall",
    "NetworkSseTruncate",
    "NetworkTimeout",
    "Stream",
    "ToxicFault",
]

Milliseconds = Annotated[int, Ge(0)]
MillisecondsAboveZero = Annotated[int, Gt(0)]
Stream = Literal["upstream", "downstream"]


@dataclass(frozen=True, kw_only=True)
class NetworkFault(Fault):
    """What every fault of a link has."""

    needs: ClassVar[Capability] = Capability.NETWORK
    on: str = "primary"
    """The server that the link leads to: a replica (from the gateway), or gateway (from the users)."""
    for_s: SecondsAboveZero = 10.0
    """How long the link stays broken."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class NetworkDown(NetworkFault):
    """Nobody listens: open connections end, new ones are refused."""

    kind: Literal["network.down"] = "network.down"


@dataclass(frozen=True, kw_only=True)
class ToxicFault(NetworkFault):
    """What every fault has that hits a share of the connections."""

    toxicity: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Which share is hit, above 0 to 1. Below 1 it is of requests, or of the users' connections when they keep none."""
    toxicity_per: Literal["connection", "request"] = "connection"
    """Of what: clients keep their connections, so 0.1 of these may be none of a run's requests, or all."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        per_request = {Capability.INFERENCE_TOXICS} if self.toxicity_per == "request" else set()
        return super().capabilities | per_request


@dataclass(frozen=True, kw_only=True)
class NetworkLatency(ToxicFault):
    """Everything arrives later."""

    kind: Literal["network.latency"] = "network.latency"
    latency_ms: MillisecondsAboveZero = 1000
    jitter_ms: Milliseconds = 0
    """Up to so much more or less, each time drawn anew."""
    stream: Stream = "downstream"
    """Which way: upstream is what clients send, downstream what they receive."""


@dataclass(frozen=True, kw_only=True)
class NetworkTimeout(ToxicFault):
    """Nothing arrives any more, and connections end only after a time, if at all."""

    kind: Literal["network.timeout"] = "network.timeout"
    timeout_ms: Milliseconds = 0
    """Connections are closed after this; 0: they stay open until the fault ends, and are closed then."""
    stream: Stream = "downstream"
    """Which way nothing arrives: upstream is what clients send, downstream what they receive."""


@dataclass(frozen=True, kw_only=True)
class NetworkReset(ToxicFault):
    """Connections end with a reset (RST) when an answer comes; those that are open already, and idle, do not notice."""

    kind: Literal["network.reset"] = "network.reset"
    after_ms: Annotated[int, Interval(ge=0, le=1500)] = 0
    """So long after an answer's first byte; what has begun to wait is reset at its time, even after the fault's end."""


@dataclass(frozen=True, kw_only=True)
class NetworkBandwidth(ToxicFault):
    """A narrow link. Traffic that needs less than it can carry does not notice, and the fault is not proven then."""

    kind: Literal["network.bandwidth"] = "network.bandwidth"
    rate_kb_per_s: Annotated[int, Gt(0)] = 10
    """Of each connection, in 1,000 bytes a second."""
    stream: Stream = "downstream"
    """Which way: upstream is what clients send, downstream what they receive."""


@dataclass(frozen=True, kw_only=True)
class NetworkSlowClose(ToxicFault):
    """Answers arrive in time, but the end of a connection is noticed late: pools of clients fill up."""

    kind: Literal["network.slow_close"] = "network.slow_close"
    delay_ms: MillisecondsAboveZero = 1000


@dataclass(frozen=True, kw_only=True)
class _OfInference(ToxicFault):
    """Toxics that the official Toxiproxy lacks."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities | {Capability.INFERENCE_TOXICS}


@dataclass(frozen=True, kw_only=True)
class NetworkHttpStatus(_OfInference):
    """Requests are answered on the way with an error status, as by an overloaded proxy; the server never sees them."""

    kind: Literal["network.http_status"] = "network.http_status"
    status: Annotated[int, Interval(ge=400, le=599)] = 503
    retry_after_s: Annotated[int, Ge(0)] = 0
    """0: no Retry-After."""


@dataclass(frozen=True, kw_only=True)
class NetworkSseTruncate(_OfInference):
    """Token streams are cut in the middle. Other answers pass."""

    kind: Literal["network.sse_truncate"] = "network.sse_truncate"
    events: Annotated[int, Ge(0)] = 1
    """After so many events of the stream."""
    ending: Literal["close", "reset", "finish"] = "close"
    """close and reset: the connection breaks (FIN, RST); finish: the answer ends well-formed, only too early."""


@dataclass(frozen=True, kw_only=True)
class NetworkSseStall(_OfInference):
    """Token streams halt in the middle. Other answers pass."""

    kind: Literal["network.sse_stall"] = "network.sse_stall"
    events: Annotated[int, Ge(1)] = 1
    """After so many events of the stream."""
    stall_ms: Milliseconds = 0
    """For so long; 0: until the fault ends."""


@dataclass(frozen=True, kw_only=True)
class NetworkCorrupt(_OfInference):
    """Bits are flipped on the way, in heads and bodies, with TCP's checksum none the wiser."""

    kind: Literal["network.corrupt"] = "network.corrupt"
    flips_per_million: Annotated[int, Interval(ge=1, le=1_000_000)] = 1000
    """Bits flipped in a million bytes."""
    stream: Stream = "downstream"
    """Which way: upstream is what clients send, downstream what they receive."""


@dataclass(frozen=True, kw_only=True)
class NetworkBlackhole(_OfInference):
    """Connections are accepted, and one direction is swallowed until the fault ends; then what was held arrives.

    It cannot drop the packet that opens a connection (SYN): new connections still succeed.
    """

    kind: Literal["network.blackhole"] = "network.blackhole"
    stream: Stream = "upstream"
    """Which way nothing arrives: upstream is what clients send, downstream what they receive."""


STREAM_FAULTS = (NetworkSseStall, NetworkSseTruncate)  # they need token streams to hit
