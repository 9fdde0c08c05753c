"""Faults that a replica does to itself, one class per kind: what shows that it acts. How it goes: on_demand.py."""

from __future__ import annotations

from contextlib import suppress

from harness.faults.base import CannotInject, Proof
from harness.faults.on_demand import NO_TOKEN_S, SILENCE_S, OnDemand
from harness.faults.process import ProcessFault
from harness.model.errors import StackError
from harness.model.service_faults import (
    ServiceCrash,
    ServiceFault,
    ServiceLeakMemory,
    ServiceLeakSlots,
    ServiceStallStream,
    ServiceTruncateStream,
)
from harness.record.journal import Inverse
from harness.stack.base import Stack, TargetProcess
from harness.stack.links import Ask, Seen
from harness.stack.service import PLACES, RUNNING, WAITING, ReplicaSilent, Usage, metric

__all__ = ["Crash", "Hang", "KillEngine", "LeakMemory", "LeakSlots", "PauseEngine", "Spin", "StallStream",
           "TruncateStream", "engine_gone"]  # fmt: skip

BUSY_SHARE = 0.3  # of a processor: a hung engine needs next to none, one that spins takes what it gets
GROWTH_SHARE = 0.9  # of a leak that has to be seen, since other memory is given back meanwhile
SPARE_MB = 512  # what a leak must leave to the host
LOOKS_MIN = 3  # at the queue: a request may be seen between its arrival and its place
ROLE = 1  # events of a stream before its first piece of text
LAST_CHUNK = b"0\r\n\r\n"  # of an answer that ends in good order (RFC 9112, 7.1)


class Hang(OnDemand):
    """The replica's fault `hang`."""

    def evidence(self) -> str | None:
        found = self._starved()
        return found[0] if found and found[1] < BUSY_SHARE else None

    def _starved(self) -> tuple[str, float] | None:
        """That nobody is served though the server lives, and the share of a processor that it used meanwhile."""
        looked = self.looked()
        if looked is None or looked.busy_share is None or not _silent(looked.chat):
            return None
        status = looked.pages[-1].status
        if status is None:
            return None
        share = looked.busy_share
        words = (
            f"a chat got no token within {NO_TOKEN_S:g} s while GET /health answered {status}; "
            f"its processes used {share:.0%} of a processor"
        )
        return words, share


class Spin(Hang):
    """The replica's fault `spin`."""

    def evidence(self) -> str | None:
        found = self._starved()
        return found[0] if found and found[1] >= BUSY_SHARE else None


class PauseEngine(Hang):
    """The replica's fault `kill_engine` with the signal that stops, which lasts until the one that continues."""

    engine: TargetProcess

    @property
    def name(self) -> str:
        return "kill_engine"

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        engine = self.stack.related(self.victim, "engine")
        if engine is None:
            raise CannotInject(f"the engine of {self.fault.on} has no process of its own")
        self.engine = engine
        return inverse

    def evidence(self) -> str | None:
        found = self._starved()
        if found is None or self.stack.state(self.engine) != "stopped":
            return None
        return f"process {self.engine.pid}, a child of the server, is in state T (stopped); {found[0]}"

    def healed(self) -> bool:
        return self.stack.state(self.engine) != "stopped" and super().healed()


class KillEngine(ProcessFault):
    """The replica's fault `kill_engine`: of its server's children, the one that computes. It is over at once."""

    name = "kill_engine"
    before: Usage

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        before = self.stack.service.usage(self.victim)
        if before is None or len(before.members) < 2:
            raise CannotInject(f"the engine of {self.fault.on} has no process of its own")
        self.before = before
        return inverse

    def apply(self) -> None:
        assert isinstance(self.fault, ServiceFault)
        try:
            self.stack.service.begin(self.victim, self.name, self.fault.arguments)
        except ReplicaSilent:
            pass  # the server may have ended, by itself or with its engine, before it could answer
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        words = engine_gone(self.stack, self.victim, self.before)
        return Proof(True, words) if words else None

    def healed(self) -> bool:
        """The server, or the one that replaced it, has as many processes again."""
        process = self.stack.process(self.fault.on)
        now = None if process is None else self.stack.service.usage(process)
        return now is not None and now.members != self.before.members and len(now.members) >= len(self.before.members)


def engine_gone(stack: Stack, server: TargetProcess, before: Usage) -> str | None:
    """That a child which the server had `before` has ended, and what became of the server; None: it has not."""
    now = stack.service.usage(server)
    left = frozenset() if now is None else now.members
    gone = sorted(pid for pid, _ in before.members - left if pid != server.pid)
    if now is None and len(before.members) == 1:
        return f"process {server.pid}, the server with its engine in it, is gone: {stack.exit_report(server)}"
    if not gone:
        return None
    said = "the server lives" if now is not None else f"so is the server: {stack.exit_report(server)}"
    return f"process {gone[0]}, a child of the server {server.pid}, is gone; {said}"


class Crash(KillEngine):
    """The replica's fault `crash`, of its server or of its engine. It is over at once."""

    name = "crash"

    @property
    def of_engine(self) -> bool:
        """Whose process it is."""
        assert isinstance(self.fault, ServiceCrash)
        return self.fault.where == "engine"

    def prepare(self) -> Inverse:
        return super().prepare() if self.of_engine else ProcessFault.prepare(self)

    def proof(self) -> Proof | None:
        assert isinstance(self.fault, ServiceCrash)
        if self.of_engine:
            return super().proof()
        report = self.stack.exit_report(self.victim)
        if report is None or self.stack.state(self.victim) != "gone":
            return None
        as_told = report == f"exit status {self.fault.exit_code}"
        return Proof(as_told, f"process {self.victim.pid} is gone; its supervisor says: {report}")

    def healed(self) -> bool:
        return super().healed() if self.of_engine else ProcessFault.healed(self)


class LeakMemory(OnDemand):
    """The replica's fault `leak_memory`, which ends before the host has nothing to spare: it may grow by itself."""

    _ended_for_the_host = False

    def keep(self) -> None:
        if not self._ended_for_the_host and self.stack.service.spare_mb() < SPARE_MB:
            self._ended_for_the_host = True
            with suppress(StackError):  # its inverse tries again
                self.stack.service.end(self.victim, self.name)

    def lost(self) -> str | None:
        if self._ended_for_the_host:
            return f"the host had less than {SPARE_MB} MiB to spare, so the leak was ended"
        return super().lost()

    def prepare(self) -> Inverse:
        wanted_mb, spare_mb = self.parameters(ServiceLeakMemory).mb, self.stack.service.spare_mb()
        if wanted_mb + SPARE_MB > spare_mb:
            raise CannotInject(f"{wanted_mb} MiB would leave this host less than {SPARE_MB} MiB (of {spare_mb:.0f})")
        return super().prepare()

    def evidence(self) -> str | None:
        now = self.stack.service.usage(self.victim)
        if now is None or now.resident_mb - self.before.resident_mb < self._share_mb(GROWTH_SHARE):
            return None
        return f"the memory of its processes grew from {self.before.resident_mb:.0f} to {now.resident_mb:.0f} MiB"

    def healed(self) -> bool:
        now = self.stack.service.usage(self.victim)
        given_back = now is None or now.resident_mb - self.before.resident_mb < self._share_mb(1 - GROWTH_SHARE) + 16
        return given_back and super().healed()

    def _share_mb(self, share: float) -> float:
        return share * self.parameters(ServiceLeakMemory).mb


class LeakSlots(OnDemand):
    """The replica's fault `leak_slots`."""

    page = "/metrics"
    pages_min = LOOKS_MIN

    def evidence(self) -> str | None:
        looked = self.looked()
        if looked is None:
            return None
        lost = self.parameters(ServiceLeakSlots).slots
        numbers = [tuple(metric(page.data, name) for name in (WAITING, RUNNING, PLACES)) for page in looked.pages[1:]]
        for waiting, running, places in numbers:
            if waiting is None or running is None or places is None:
                return None
            if waiting < 1 or running >= places or running > max(0, places - lost):
                return None
        waiting, running, places = numbers[-1]
        return f"{waiting:.0f} requests wait while {running:.0f} run and {places:.0f} could, in {len(numbers)} looks"


class TruncateStream(OnDemand):
    """The replica's fault `truncate_stream`."""

    def ask(self) -> Ask:
        return Ask(stream=True, limit_s=5 * SILENCE_S)

    def evidence(self) -> str | None:
        looked = self.looked()
        events = self.parameters(ServiceTruncateStream).events
        if looked is None or looked.chat.answered or looked.chat.status != 200 or looked.chat.reset:
            return None
        if not looked.chat.data.endswith(LAST_CHUNK) or looked.chat.events != ROLE + events:
            return None
        return f"a token stream ended in good order after {events} pieces of text, without [DONE]"


class StallStream(OnDemand):
    """The replica's fault `stall_stream`."""

    def ask(self) -> Ask:
        return Ask(stream=True, limit_s=2 * SILENCE_S)

    def evidence(self) -> str | None:
        looked = self.looked()
        events = self.parameters(ServiceStallStream).events
        if looked is None or _over(looked.chat) or looked.chat.status != 200:
            return None
        silent_s = self.ask().limit_s - (looked.chat.last_byte_s or 0.0)
        if looked.chat.events != ROLE + events or silent_s < SILENCE_S or looked.pages[-1].status is None:
            return None
        return f"a token stream fell silent after {events} pieces of text, and stayed open, while GET /health answered"


def _over(chat: Seen) -> bool:
    return chat.answered or chat.closed_s is not None or chat.reset


def _silent(chat: Seen) -> bool:
    """Accepted, and not a token until the look gave up."""
    return chat.connected and not _over(chat) and chat.events == 0
