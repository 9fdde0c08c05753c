"""Cutting servers off from each other by what happens to their packets: the words, and the rules that do it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from harness.record.journal import Inverse
from harness.stack.links import Look

__all__ = [
    "GATEWAY",
    "RESOLVER",
    "Cut",
    "Partitions",
    "Reached",
    "Resolved",
    "UnderWay",
    "carrying",
    "comment",
    "rules",
]

T_co = TypeVar("T_co", covariant=True)
GATEWAY = "gateway"
RESOLVER = "127.0.0.11"  # the engine's own name server, inside every container


@dataclass(frozen=True)
class Cut:
    """What is cut: the way from `at` to the replicas (drop, refuse, disconnect), its names (dns_…), or all of it."""

    mark: str  # unique in its run
    how: Literal["drop", "refuse", "disconnect", "dns_drop", "dns_refuse", "silence"]
    at: str = GATEWAY  # the server whose packets are meant
    replicas: tuple[str, ...] = ()
    direction: Literal["both", "to_replica", "to_gateway"] = "both"


@dataclass(frozen=True)
class Reached:
    """What became of a request from `at` to a replica, by the way that users' requests go."""

    connected: bool
    refused: bool = False
    answered: bool = False
    dropped: int = 0  # packets that met the cut's rules until now, as the kernel counts


@dataclass(frozen=True)
class Resolved:
    """What a server got when it asked for a name."""

    name: str
    address: str | None  # None: none
    error: str = ""
    dropped: int = 0


class UnderWay(Protocol, Generic[T_co]):
    """A question under way."""

    def seen(self) -> T_co | None:
        """None: not over yet. Never waits."""


class Partitions(Protocol):
    """Of a stack that is up. Every method may raise StackError."""

    def prepare(self, cut: Cut) -> Inverse:
        """Have ready what it takes, so that a cut takes effect at once; how another process could mend it."""

    def cut(self, cut: Cut) -> None:
        """Do it."""

    def mend(self, cut: Cut) -> None:
        """Undo it; does no harm when it is undone."""

    def has(self, cut: Cut) -> bool:
        """Whether it acts now, as the kernel or the engine says."""

    def reach(self, cut: Cut, replica: str) -> UnderWay[Reached]:
        """Begin to ask a replica from where the cut's server stands."""

    def resolve(self, cut: Cut) -> UnderWay[Resolved]:
        """Begin to ask for a name from where the cut's server stands."""

    def past(self, replica: str) -> Look:
        """Begin to ask the replica itself, by a way that no cut touches."""


def comment(run_id: str, mark: str) -> str:
    """What the rules of a cut are known by."""
    return f"reliability-harness {run_id} {mark}"


def rules(cut: Cut, run_id: str, ports: Mapping[str, int]) -> list[list[str]]:
    """Words of iptables after -A or -D, one list a rule, in the network of the cut's server.

    `ports`: where it dials replicas.
    """
    found: list[list[str]] = []
    reset = ["-j", "REJECT", "--reject-with", "tcp-reset"]
    for replica in cut.replicas:
        to, back = ["OUTPUT", "-p", "tcp", "--dport"], ["INPUT", "-p", "tcp", "--sport"]
        port = str(ports[replica])
        if cut.how == "refuse":
            found.append([*to, port, *reset])
        if cut.how == "drop" and cut.direction != "to_gateway":
            found.append([*to, port, "-j", "DROP"])
        if cut.how == "drop" and cut.direction != "to_replica":
            found.append([*back, port, "-j", "DROP"])
    if cut.how in ("dns_drop", "dns_refuse"):
        found.append(["OUTPUT", "-d", RESOLVER, "-j", "DROP" if cut.how == "dns_drop" else "REJECT"])
    if cut.how == "silence":
        found += [["OUTPUT", "!", "-o", "lo", "-j", "DROP"], ["INPUT", "!", "-i", "lo", "-j", "DROP"]]
    said = ["-m", "comment", "--comment", comment(run_id, cut.mark)]
    targets = [rule.index("-j") for rule in found]
    return [[*rule[:at], *said, *rule[at:]] for rule, at in zip(found, targets, strict=True)]


def carrying(listed: str, run_id: str, mark: str) -> list[str]:
    """Of the rules that `iptables -S` lists those that carry the cut's comment."""
    return [line for line in listed.splitlines() if f'"{comment(run_id, mark)}"' in line]
