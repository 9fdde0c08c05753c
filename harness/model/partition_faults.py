"""The parameters of what cuts servers off from each other: lost packets, refused connections, names that nobody knows.

Unlike the faults of a link (`network_faults.py`) these act on the packets themselves, before any proxy has seen them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = ["ALL", "Direction", "NetworkDns", "NetworkPartition", "PartitionFault"]

ALL = "all"  # every replica at once
Direction = Literal["both", "to_replica", "to_gateway"]


@dataclass(frozen=True, kw_only=True)
class PartitionFault(Fault):
    """What every one has."""

    needs: ClassVar[Capability] = Capability.PARTITION
    for_s: SecondsAboveZero = 10.0
    """How long it lasts."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class NetworkPartition(PartitionFault):
    """The gateway and a replica no longer reach each other, while both run and answer others."""

    more_places: ClassVar[tuple[str, ...]] = (ALL,)
    kind: Literal["network.partition"] = "network.partition"
    on: str = "primary"
    """Which replica the gateway is cut off from, or all."""
    how: Literal["drop", "refuse", "disconnect"] = "drop"
    """Packets vanish; connections are refused at once; or the replica is taken off the network, its name with it."""
    direction: Direction = "both"
    """With drop: which packets vanish. Requests that arrive and whose answers vanish are to_gateway."""

    @property
    def problem(self) -> tuple[str, str] | None:
        if self.direction != "both" and self.how != "drop":
            return "direction", f"only packets that are dropped have one; leave it out with how: {self.how}"
        return None


@dataclass(frozen=True, kw_only=True)
class NetworkDns(PartitionFault):
    """Names can no longer be resolved by one server; connections that are open stay open."""

    more_places: ClassVar[tuple[str, ...]] = ("gateway",)
    kind: Literal["network.dns"] = "network.dns"
    on: str = "gateway"
    """Which server: the gateway, or a replica."""
    how: Literal["refuse", "drop"] = "refuse"
    """The name server refuses at once, or questions vanish, so that a look-up takes as long as its limit."""
