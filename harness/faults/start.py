"""What keeps a replica from starting again: an obstacle is put in its way, it is restarted, and cannot start."""

from __future__ import annotations

import re
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.faults.inverse import refill_folder
from harness.faults.weights import SNAPSHOTS
from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.links import Ask, Look
from harness.stack.taken_port import Taken

__all__ = ["EmptyModel", "LoseDependency", "TakePort"]

NO_HUB = "http://127.0.0.1:9"  # the port of a service that hosts no longer offer (discard)


class _StartObstacle(ActiveFault):
    """Obstacle, restart, look at what the supervisor says, obstacle away, start."""

    words: ClassVar[re.Pattern[str]]  # of the failed start
    victim: TargetProcess  # whose end makes room for the failing start
    _look: Look | None = None
    _over = False  # from then on a failed start is no longer this fault's

    def prepare(self) -> Inverse:
        found = self.stack.process(self.fault.on)
        if found is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.victim = found
        return self.inverse()

    @abstractmethod
    def inverse(self) -> Inverse:
        """How to take the obstacle away."""

    @abstractmethod
    def obstruct(self) -> None:
        """Put it there."""

    def apply(self) -> None:
        try:
            self.obstruct()
        except StackError as error:
            raise CannotInject(str(error)) from error
        self.stack.restart(self.fault.on)

    def proof(self) -> Proof | None:
        if self._over or self.stack.process(self.fault.on) == self.victim:
            return None
        why = self.stack.why_down(self.fault.on)
        if why is None or not self.words.search(why):
            return None
        return Proof(True, f"{self.fault.on} does not start: {why}")

    def after_inverse(self) -> None:
        self._over = True
        self.stack.ensure_running(self.fault.on)

    def healed(self) -> bool:
        """A process of a later start says itself that it serves."""
        now = self.stack.process(self.fault.on)
        if now is None or now == self.victim:
            self._look = None
            return False
        if self._look is None:
            self._look = self.stack.network.look(self.fault.on, Ask(page="/ready"), past=True)
        seen = self._look.seen()
        if seen is not None:
            self._look = None
        return seen is not None and seen.answered and seen.status == 200


class TakePort(_StartObstacle):
    """Somebody else listens on its port: this process, so that the port is free when that has died."""

    words = re.compile(r"address already in use|port is already allocated", re.IGNORECASE)
    taken: Taken

    def inverse(self) -> Inverse:
        return Inverse("nothing", {"because": "a port is free again when the process that took it has ended"})

    def obstruct(self) -> None:
        self.taken = self.stack.take_port(self.fault.on)

    def lost(self) -> str | None:
        return None if self.taken.held else f"the port of {self.fault.on} could not be taken"

    def after_inverse(self) -> None:
        self.taken.release()
        super().after_inverse()


class LoseDependency(_StartObstacle):
    """Its next starts are told to fetch the model from a hub where nobody answers."""

    words = re.compile(re.escape(NO_HUB))
    options = ("--model-source", "remote", "--hub-url", NO_HUB, "--model", "reliability/missing")

    def inverse(self) -> Inverse:
        if options := self.stack.service.starts_with(self.fault.on):
            raise CannotInject(f"{self.fault.on} has start options already: {' '.join(options)}")
        return self.stack.service.start_inverse(self.fault.on)

    def obstruct(self) -> None:
        self.stack.service.start_with(self.fault.on, self.options)

    def lost(self) -> str | None:
        if self.stack.service.starts_with(self.fault.on) == self.options:
            return None
        return f"the start options of {self.fault.on} were changed by somebody else"

    def after_inverse(self) -> None:
        self.stack.service.start_with(self.fault.on, ())  # a second time does no harm
        super().after_inverse()


class EmptyModel(_StartObstacle):
    """Everything in its model folder is moved aside."""

    words = re.compile(r"(exit status [1-9]|was restarted).*(is empty|missing|not found|no such file)", re.IGNORECASE)
    folder: Path
    aside: Path

    def inverse(self) -> Inverse:
        root = self.where.own_folder
        self.folder = self.stack.model_folder(self.fault.on)
        if not self.folder.resolve().is_relative_to(root.resolve()) or not any(self.folder.iterdir()):
            raise CannotInject(f"{self.folder} is not this run's own copy of the model")
        self.aside = root / SNAPSHOTS / f"aside-{self.fault.on}"
        self.aside.mkdir(parents=True, exist_ok=True)
        return Inverse("folder.refill", {"folder": str(self.folder), "aside": str(self.aside), "root": str(root)})

    def obstruct(self) -> None:
        for path in sorted(self.folder.iterdir()):
            path.rename(self.aside / path.name)

    def lost(self) -> str | None:
        return f"somebody put files into {self.folder}" if any(self.folder.iterdir()) else None

    def after_inverse(self) -> None:
        refill_folder({"folder": self.folder, "aside": self.aside, "root": self.where.own_folder})
        super().after_inverse()
