"""Faults of a replica's start: it is started anew with options that every start gets until they are taken back."""

from __future__ import annotations

from abc import abstractmethod

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.service_faults import ServiceEarlyReady, ServiceSlowLoad
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.links import Ask, Look, Seen

__all__ = ["EarlyReady", "SlowLoad"]

SHARE = 0.9  # of the longer loading that has to be seen
LEAST_S = 2.0  # by which loading must have been longer if somebody ended it before: less is an ordinary start's own
ANSWER_S = 5.0
REFUSED_WITHIN_S = 1.0  # "not loaded" is said at once, "too busy" after a wait


class _StartFault(ActiveFault):
    """Restart with options, look at the new process, restart without if it is not through by then."""

    victim: TargetProcess  # whose end makes room for the faulty start
    usual_s: float  # that loading took before
    _asked: Look | None = None
    _over = False

    @abstractmethod
    def options(self) -> tuple[str, ...]:
        """What the next starts get on their command line."""

    @abstractmethod
    def evidence(self, now: TargetProcess) -> str | None:
        """What shows that `now` was started so; None: nothing does yet."""

    def prepare(self) -> Inverse:
        found, usual_s = self.stack.process(self.fault.on), self.stack.service.load_s(self.fault.on)
        if found is None or usual_s is None:
            raise CannotInject(f"{self.fault.on} has no running process with a loaded model")
        self.victim, self.usual_s = found, usual_s
        if options := self.stack.service.starts_with(self.fault.on):
            raise CannotInject(f"{self.fault.on} has start options already: {' '.join(options)}")
        return self.stack.service.start_inverse(self.fault.on)

    def apply(self) -> None:
        self.stack.service.start_with(self.fault.on, self.options())
        self.stack.restart(self.fault.on)

    def proof(self) -> Proof | None:
        now = self.stack.process(self.fault.on)
        if self._over or now is None or now == self.victim:
            return None
        evidence = self.evidence(now)
        return Proof(True, f"{self.fault.on}: {evidence}") if evidence else None

    def lost(self) -> str | None:
        if self.stack.service.starts_with(self.fault.on) == self.options():
            return None
        return f"the start options of {self.fault.on} were changed by somebody else"

    def after_inverse(self) -> None:
        self._over, self._asked = True, None
        self.stack.service.start_with(self.fault.on, ())  # a second time does no harm
        if self.stack.process(self.fault.on) is not None and self.stack.service.load_s(self.fault.on) is None:
            self.stack.restart(self.fault.on)  # it would go on loading, or lying
        else:
            self.stack.ensure_running(self.fault.on)

    def healed(self) -> bool:
        now = self.stack.process(self.fault.on)
        if now is None or now == self.victim or self.stack.service.starts_with(self.fault.on):
            return False
        chat = self.look(Ask(stream=True, limit_s=ANSWER_S))
        return chat is not None and chat.answered

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return self._asked is not None

    def look(self, ask: Ask) -> Seen | None:
        """The look that is over; begins it when none is under way."""
        if self._asked is None:
            self._asked = self.stack.service.look(self.fault.on, ask)
        seen = self._asked.seen()
        if seen is not None:
            self._asked = None
        return seen


class EarlyReady(_StartFault):
    """The replica's option `--early-ready`."""

    _ready_in: TargetProcess | None = None  # which process has said that it is ready

    def options(self) -> tuple[str, ...]:
        assert isinstance(self.fault, ServiceEarlyReady)
        slow = ("--slow-load-s", f"{self.fault.slow_load_s:g}") if self.fault.slow_load_s else ()
        return ("--early-ready", *slow)

    def evidence(self, now: TargetProcess) -> str | None:
        """First it said that it is ready, then it refused a chat: the other way round it may just have become so."""
        if self._ready_in != now:
            ready = self.look(Ask(page="/ready"))
            self._ready_in = now if ready is not None and ready.status == 200 else None
            return None
        chat = self.look(Ask(stream=True))
        if chat is None:
            return None
        self._ready_in = None
        if chat.status != 503 or chat.first_byte_s is None or chat.first_byte_s > REFUSED_WITHIN_S:
            return None
        return f"process {now.pid} answered GET /ready with 200, and then a chat with 503"


class SlowLoad(_StartFault):
    """The replica's option `--slow-load-s`. Who is killed while it loads has shown it as far as it was let."""

    _looked_at: tuple[TargetProcess, float] | None = None  # and how old it was when the look began: not too much
    _loading: tuple[TargetProcess, float] | None = None  # last seen so

    def options(self) -> tuple[str, ...]:
        assert isinstance(self.fault, ServiceSlowLoad)
        return ("--slow-load-s", f"{self.fault.slow_load_s:g}")

    def evidence(self, now: TargetProcess) -> str | None:
        assert isinstance(self.fault, ServiceSlowLoad)
        if self._loading is not None and self._loading[0] != now:
            before, age_s = self._loading
            if age_s >= self.usual_s + LEAST_S:
                return (
                    f"process {before.pid} was {age_s:.1f} s old and GET /ready still answered 503 before it was "
                    f"ended; the one before the fault loaded its model in {self.usual_s:.1f} s"
                )
        if not self.looking:
            usage = self.stack.service.usage(now)
            self._looked_at = None if usage is None else (now, usage.age_s)
        ready = self.look(Ask(page="/ready"))
        if ready is None or ready.status != 503 or self._looked_at is None or self._looked_at[0] != now:
            return None
        self._loading = self._looked_at
        age_s = self._loading[1]
        if age_s < self.usual_s + SHARE * self.fault.slow_load_s:
            return None
        return (
            f"process {now.pid} is {age_s:.1f} s old and GET /ready still answers 503; "
            f"the one before loaded its model in {self.usual_s:.1f} s"
        )
