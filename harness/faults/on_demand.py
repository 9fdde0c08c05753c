"""What every fault does that a replica does to itself: have it begin, look until there is evidence, end it.

The replica is asked past the gateway and past the links, with the run's own token. What it says of the fault is no
proof: that is what a chat of the harness's own gets, what another page of the same server says meanwhile, and what the
operating system knows of its processes. A restart of the process that has such a fault, server or
engine, ends it: it is healed when the next one serves.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.fault import Fault
from harness.model.service_faults import ServiceFault
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.links import Ask, Look, Seen
from harness.stack.service import Usage

__all__ = ["NO_TOKEN_S", "SILENCE_S", "Looked", "OnDemand"]

NO_TOKEN_S = 1.5  # a chat of a few tokens takes a tenth of it
SILENCE_S = 1.0
ANSWER_S = 5.0  # for a look that shows that all is well again

Parameters = TypeVar("Parameters", bound=Fault)


@dataclass(frozen=True)
class Looked:
    """What one chat got, what pages said while it was under way, and the share of a processor that was used."""

    chat: Seen
    pages: tuple[Seen, ...]
    busy_share: float | None  # None: another process serves now


class OnDemand(ActiveFault):
    """Begin, look until there is evidence, end."""

    page: ClassVar[str] = "/health"  # what is asked for while the chat is under way
    pages_min: ClassVar[int] = 1
    victim: TargetProcess
    before: Usage
    _chat: Look | None = None
    _page: Look | None = None
    _pages: tuple[Seen, ...] = ()
    _since: Usage | None = None
    _over = False  # from then on a look can prove nothing about this fault

    @property
    def name(self) -> str:
        """The replica's own name for it."""
        return self.fault.kind.partition(".")[2]

    def prepare(self) -> Inverse:
        found = self.stack.process(self.fault.on)
        before = None if found is None else self.stack.service.usage(found)
        if found is None or before is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.victim, self.before = found, before
        try:
            there = self.stack.service.has(self.victim, self.name)
        except StackError as error:
            raise CannotInject(str(error)) from error
        if there:
            raise CannotInject(f"{self.fault.on} has {self.name} already")
        return self.stack.service.inverse(self.victim, self.name)

    def apply(self) -> None:
        try:
            self.stack.service.begin(self.victim, self.name, self.parameters(ServiceFault).arguments)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        evidence = None if self._over else self.evidence()
        return Proof(True, f"{self.fault.on}: {evidence}") if evidence else None

    @abstractmethod
    def evidence(self) -> str | None:
        """What shows that the fault acts; None: nothing does yet."""

    def ask(self) -> Ask:
        """What chat a look asks for."""
        return Ask(stream=True, limit_s=NO_TOKEN_S)

    def lost(self) -> str | None:
        now = self.stack.service.usage(self.victim)
        if now is None or self.before.members - now.members:
            return None  # that the replica or its engine's process was restarted is the target's answer, not ours
        if self.stack.service.has(self.victim, self.name):
            return None
        return f"{self.fault.on} no longer had {self.name}"

    def after_inverse(self) -> None:
        self._over, self._chat, self._page = True, None, None
        with suppress(StackError):  # `healed` asks again
            self.stack.service.end(self.victim, self.name)  # a second time does no harm

    def healed(self) -> bool:
        """The process that had it has gone or says that it has it no more; and a chat is answered whole."""
        now = self.stack.process(self.fault.on)
        try:
            if now is None or (now == self.victim and self.stack.service.has(now, self.name)):
                return False
        except StackError:
            return False
        return self.serves()

    def serves(self) -> bool:
        """Whether a chat was answered whole; begins the next look when none is under way."""
        if self._chat is None:
            self._chat = self.stack.service.look(self.fault.on, Ask(stream=True, limit_s=ANSWER_S))
        chat = self._chat.seen()
        if chat is not None:
            self._chat = None
        return chat is not None and chat.answered

    def looked(self) -> Looked | None:
        """The chat that is over, with the pages asked for meanwhile; begins the next one when none is under way."""
        service = self.stack.service
        if self._chat is None:
            self._since, self._pages = service.usage(self.victim), ()
            self._chat = service.look(self.fault.on, self.ask())
        if self._page is None:
            self._page = service.look(self.fault.on, Ask(page=self.page))
        elif (page := self._page.seen()) is not None:
            self._pages, self._page = (*self._pages, page), None
        chat = self._chat.seen()
        if chat is None or len(self._pages) < self.pages_min:
            return None
        self._chat, self._page = None, None
        return Looked(chat, self._pages, _busy_share(self._since, service.usage(self.victim)))

    def parameters(self, cls: type[Parameters]) -> Parameters:
        assert isinstance(self.fault, cls)
        return self.fault


def _busy_share(before: Usage | None, after: Usage | None) -> float | None:
    if before is None or after is None or after.age_s <= before.age_s:
        return None
    return (after.cpu_s - before.cpu_s) / (after.age_s - before.age_s)
