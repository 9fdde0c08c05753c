"""What every fault of a link does: break it, look until there is evidence, mend it.

The proof is what a look through the link sees and a look past it does not. Looks are connections of the harness's own,
tagged as probes. Each pair asks the same of the same server at the same time, once through the proxy and once directly,
so that a slow or broken server is never taken for the fault.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from typing import TypeVar

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.fault import Fault
from harness.model.network_faults import Stream, ToxicFault
from harness.record.journal import Inverse
from harness.stack.links import DOWN, Ask, Look, Seen, Toxic

__all__ = ["SHARE", "LinkFault"]

SHARE = 0.9  # of a configured delay that has to be seen: timers and clocks are not exact
DELAY_S_MIN = 0.02  # what is less cannot be told from noise between two looks
DELAY_S_SURE = 0.1  # what is less has to be seen in several pairs, one after the other
PAIRS_IN_A_ROW = 3

Parameters = TypeVar("Parameters", bound=Fault)


class LinkFault(ActiveFault):
    """Break, look until there is evidence, mend."""

    toxic: Toxic
    _looks: tuple[Look, Look] | None = None  # through the link, past it
    _mended = False  # from then on a look can prove nothing about this fault
    _in_a_row = 0  # pairs that showed a small delay

    def prepare(self) -> Inverse:
        self.toxic = self.make_toxic("-".join([self.fault.kind.partition(".")[2], *self.where.seed.split("/")[-2:]]))
        try:
            if self.toxic.type == DOWN and self.stack.network.has(self.fault.on, self.toxic):
                raise CannotInject(f"the link to {self.fault.on} is down already")
            return self.stack.network.inverse(self.fault.on, self.toxic)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def apply(self) -> None:
        try:
            self.stack.network.add(self.fault.on, self.toxic)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        pair = None if self._mended else self._look()
        if pair is None:
            return None
        through, past = pair
        evidence = self.evidence(through, past) if past.answered else None
        return Proof(True, f"link to {self.fault.on}: {evidence}") if evidence else None

    def lost(self) -> str | None:
        if self.stack.network.has(self.fault.on, self.toxic):
            return None
        return f"the proxy on the link to {self.fault.on} no longer had {self.toxic.name}"

    def after_inverse(self) -> None:
        self._looks, self._mended = None, True
        with suppress(StackError):  # a proxy that is just being restarted has lost it; `healed` asks again
            self.stack.network.remove(self.fault.on, self.toxic)  # a second time does no harm

    def healed(self) -> bool:
        """The proxy says so, and a look through the link is answered, unless the server answers nobody."""
        try:
            if self.stack.network.has(self.fault.on, self.toxic):
                return False
        except StackError:
            return False  # the proxy is just being restarted
        pair = self._look()
        return pair is not None and (pair[0].answered or not pair[1].answered)

    @abstractmethod
    def make_toxic(self, name: str) -> Toxic:
        """What is put on the link."""

    def ask(self) -> Ask:
        """What a look asks for."""
        return Ask()

    @abstractmethod
    def evidence(self, through: Seen, past: Seen) -> str | None:
        """What shows that the fault acts, given that the server itself answered; None: nothing does."""

    def _look(self) -> tuple[Seen, Seen] | None:
        """The pair of looks that is over; begins the next one when there is none under way."""
        if self._looks is None:
            link, links = self.fault.on, self.stack.network
            self._looks = links.look(link, self.ask(), past=False), links.look(link, self.ask(), past=True)
        through, past = (look.seen() for look in self._looks)
        if through is None or past is None:
            return None
        self._looks = None
        return through, past

    def shows(self, added_s: float, wanted_s: float) -> bool:
        """Whether an added delay is the toxic's, which should be `wanted_s`: noise adds some, too, but not always."""
        if wanted_s < DELAY_S_MIN:
            return False
        self._in_a_row = self._in_a_row + 1 if added_s >= SHARE * wanted_s else 0
        return self._in_a_row >= (1 if wanted_s >= DELAY_S_SURE else PAIRS_IN_A_ROW)

    def parameters(self, cls: type[Parameters]) -> Parameters:
        assert isinstance(self.fault, cls)
        return self.fault

    def toxic_of(self, name: str, type_: str, stream: Stream = "downstream", **attributes: int | str) -> Toxic:
        fault = self.parameters(ToxicFault)
        return Toxic(name, type_, stream, attributes, fault.toxicity, fault.toxicity_per == "request")
