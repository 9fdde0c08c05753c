"""Faults that users do: strangers come, the target's own counters show that they did, and nothing of them is left."""

from __future__ import annotations

import re
from typing import ClassVar

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.traffic_faults import TrafficFault
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.links import Ask, Look, Seen
from harness.stack.traffic import HasTraffic, Strangers, Traffic

__all__ = ["IdleConnections", "MoreRequests"]

TOTAL = re.compile(rb'"received_total": ?(\d+)')
DISTINCT = re.compile(rb'"received_distinct": ?(\d+)')
OPEN_FILES = re.compile(rb"^process_open_fds (\S+)\r?$", re.MULTILINE)
SHARE = 0.5  # of what was sent that the target must have counted: it may be too slow to take all of it
SEEN_MIN = 10  # requests; a few are users' own that were sent twice


class MoreRequests(ActiveFault):
    """All of the strangers' requests carry one id: what the gateway counts beyond distinct ids is the evidence."""

    page: ClassVar[str] = "/gateway/state"
    _look: Look | None = None
    _first: float | None = None  # what was counted before they came

    @property
    def what(self) -> TrafficFault:
        assert isinstance(self.fault, TrafficFault)
        return self.fault

    @property
    def traffic(self) -> Traffic:
        """The stack's strangers."""
        if not isinstance(self.stack, HasTraffic):
            raise CannotInject(f"the stack '{self.stack.name}' has no way for strangers to come")
        return self.stack.traffic

    def prepare(self) -> Inverse:
        prompts = next(iter(self.stack.prompts().values()))
        name = f"{self.where.seed.replace('/', '-')}-{self.fault.kind.partition('.')[2]}"
        prompt = prompts[0]
        kind = self.fault.kind.partition(".")[2]
        self.who = Strangers(name, kind, self.what.arguments, prompt.messages, prompt.max_tokens)
        self._look = self._ask()
        return self.traffic.inverse(self.who)

    def apply(self) -> None:
        try:
            self.traffic.begin(self.who)
        except (OSError, StackError) as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        seen = self._seen()
        if seen is None:
            return None
        number = self._number(seen)
        if number is None:
            return None if self._first is None else self.unanswered(seen)
        if self._first is None:
            self._first = number
            return None
        more = number - self._first
        return Proof(True, self.evidence(more)) if self.shows(more) else None

    def shows(self, more: float) -> bool:
        """Whether so many more show that they came."""
        wanted = float(self.what.arguments.get("rate_per_s", self.what.arguments.get("clients", 0)))
        return more >= max(SEEN_MIN, SHARE * wanted)

    def evidence(self, more: float) -> str:
        """In words."""
        return f"the gateway counted {more:,.0f} requests of strangers beside the users'"

    def unanswered(self, seen: Seen) -> Proof | None:
        """What it says that nothing can be counted any more; it could before they came."""
        return None

    def lost(self) -> str | None:
        return None if self.traffic.there(self.who) else "the strangers ended before their time"

    def after_inverse(self) -> None:
        self.traffic.end(self.who)

    def healed(self) -> bool:
        return not self.traffic.there(self.who)

    def _ask(self) -> Look:
        return self.stack.network.look("gateway", Ask(page=self.page), past=True)

    def _seen(self) -> Seen | None:
        """The look that is over; begins the next one."""
        seen = None if self._look is None else self._look.seen()
        if self._look is None or seen is not None:
            self._look = self._ask()
        return seen

    def _number(self, seen: Seen) -> float | None:
        total, distinct = TOTAL.search(seen.data), DISTINCT.search(seen.data)
        return None if total is None or distinct is None else float(total[1]) - float(distinct[1])


class IdleConnections(MoreRequests):
    """Open files of the gateway's process are the evidence: a connection is one. Where none is left, nobody can ask."""

    page = "/metrics"
    _in_a_row = 0  # looks without an answer

    def prepare(self) -> Inverse:
        self._before = self._served_by()
        return super().prepare()

    def _number(self, seen: Seen) -> float | None:
        found = OPEN_FILES.search(seen.data)
        if found is not None:
            self._in_a_row = 0
        return None if found is None else float(found[1])

    def _served_by(self) -> TargetProcess | None:
        """The gateway's process; None where nobody knows it."""
        try:
            return self.stack.process("gateway")
        except (StackError, LookupError):
            return None

    def shows(self, more: float) -> bool:
        return more >= 0.9 * float(self.what.arguments["connections"])

    def evidence(self, more: float) -> str:
        return f"the gateway's process has {more:,.0f} more files open than before the connections came"

    def unanswered(self, seen: Seen) -> Proof | None:
        if not seen.connected or seen.data:
            return None  # nobody listens, or somebody serves: neither is what a lack of files looks like
        # A dead gateway hangs up as well, where a forwarder listens in its place, and a busy one is late once.
        if self._served_by() != self._before or not self.traffic.there(self.who):
            return None
        self._in_a_row += 1
        if self._in_a_row < 2:
            return None
        # asyncio leaves them waiting, libuv takes them and hangs up.
        how = "hung up on a new one" if seen.reset or seen.closed_s is not None else "left a new one unanswered"
        return Proof(True, f"the gateway answered until the connections came, and then {how}")
