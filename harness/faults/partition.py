"""Servers cut off from each other: looked at from where the cut server stands, and by a way that the cut spares."""

from __future__ import annotations

from contextlib import suppress

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.partition_faults import ALL, NetworkDns, NetworkPartition
from harness.record.journal import Inverse
from harness.stack.links import Look, Seen
from harness.stack.partition import GATEWAY, Cut, Partitions, Reached, Resolved, UnderWay

__all__ = ["CutOff", "LoseNames"]


class _CutFault(ActiveFault):
    """Cut, look until there is evidence, mend."""

    made: Cut
    _mended = False  # from then on a look can prove nothing about this fault

    def make_cut(self, mark: str) -> Cut:
        """What is cut."""
        raise NotImplementedError

    @property
    def ways(self) -> Partitions:
        return self.stack.partitions

    def prepare(self) -> Inverse:
        self.made = self.make_cut("-".join([self.fault.kind, *self.where.seed.split("/")[-2:]]))
        try:
            inverse = self.ways.prepare(self.made)
            if self.ways.has(self.made):
                raise CannotInject(f"{self.fault.on} is cut off already")
        except StackError as error:
            raise CannotInject(str(error)) from error
        return inverse

    def apply(self) -> None:
        try:
            self.ways.cut(self.made)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def lost(self) -> str | None:
        if self.ways.has(self.made):
            return None
        where = f"the network of {self.made.at}" if self.made.how != "disconnect" else "the engine"
        return f"{where} no longer had the cut: a server that is restarted has a new network"

    def after_inverse(self) -> None:
        self._mended = True
        self.forget()
        if self.ways.has(self.made):  # the inverse of a stack that keeps nothing but its own memory does nothing
            with suppress(StackError):  # `healed` asks again
                self.ways.mend(self.made)

    def forget(self) -> None:
        """Looks that are under way began before."""


class CutOff(_CutFault):
    """The gateway no longer reaches a replica, or any."""

    _looks: dict[str, tuple[UnderWay[Reached], Look]]
    _found: dict[str, str]  # replica -> what shows it

    def make_cut(self, mark: str) -> Cut:
        assert isinstance(self.fault, NetworkPartition)
        replicas = tuple(self.stack.describe()) if self.fault.on == ALL else (self.fault.on,)
        self._looks, self._found = {}, {}
        return Cut(mark, self.fault.how, GATEWAY, replicas, self.fault.direction)

    def proof(self) -> Proof | None:
        if self._mended:
            return None
        for replica in self.made.replicas:
            pair = None if replica in self._found else self._look(replica)
            if pair is not None and pair[1].answered and (shown := self._shown(pair[0])):
                self._found[replica] = shown
        if len(self._found) < len(self.made.replicas):
            return None
        return Proof(True, "; ".join(f"from the gateway to {one}: {shown}" for one, shown in self._found.items()))

    def _shown(self, reached: Reached) -> str | None:
        """What shows that the cut acts, given that the replica itself answered others."""
        others = "while it answered others"
        if self.made.how == "disconnect":
            gone = not reached.answered and self.ways.has(self.made)
            return f"no answer and no way, as the engine says, {others}" if gone else None
        if reached.dropped < 1:
            return None
        counted = f"the kernel counts {reached.dropped} packets that met it"
        if self.made.how == "refuse":
            return f"refused {others}; {counted}" if reached.refused else None
        silent = not (reached.connected or reached.refused)
        which = {"to_replica": "on the way there", "to_gateway": "on the way back"}.get(
            self.made.direction, "both ways"
        )
        return f"no answer to a connection {others}; {counted}, {which}" if silent else None

    def healed(self) -> bool:
        """Nothing is left of it, and each replica is reached, unless it answers nobody."""
        try:
            if self.ways.has(self.made):
                return False
            pairs = {replica: self._look(replica) for replica in self.made.replicas if replica not in self._found}
        except StackError:
            return False
        self._found |= {
            replica: "" for replica, pair in pairs.items() if pair and (pair[0].answered or not pair[1].answered)
        }
        return len(self._found) == len(self.made.replicas)

    def forget(self) -> None:
        self._looks, self._found = {}, {}

    def _look(self, replica: str) -> tuple[Reached, Seen] | None:
        """The pair of looks that is over; begins the next one when there is none under way."""
        if replica not in self._looks:
            self._looks[replica] = self.ways.reach(self.made, replica), self.ways.past(replica)
        pair = self._looks[replica]
        try:
            reached, past = pair[0].seen(), pair[1].seen()
        except StackError:
            del self._looks[replica]
            raise
        if reached is None or past is None:
            return None
        del self._looks[replica]
        return reached, past


class LoseNames(_CutFault):
    """One server can no longer resolve names."""

    _asked: UnderWay[Resolved] | None = None

    def make_cut(self, mark: str) -> Cut:
        assert isinstance(self.fault, NetworkDns)
        return Cut(mark, "dns_drop" if self.fault.how == "drop" else "dns_refuse", self.fault.on)

    def proof(self) -> Proof | None:
        got = None if self._mended else self._look()
        if got is None or got.address is not None or got.dropped < 1:
            return None
        counted = f"the kernel counts {got.dropped} packets that met it"
        return Proof(True, f"{self.fault.on} asked for the name {got.name} and got none ({got.error}); {counted}")

    def healed(self) -> bool:
        try:
            got = None if self.ways.has(self.made) else self._look()
        except StackError:
            return False
        return got is not None and got.address is not None

    def forget(self) -> None:
        self._asked = None

    def _look(self) -> Resolved | None:
        if self._asked is None:
            self._asked = self.ways.resolve(self.made)
        try:
            got = self._asked.seen()
        except StackError:
            self._asked = None
            raise
        if got is not None:
            self._asked = None
        return got
