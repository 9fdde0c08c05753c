"""How the local stack serves one run after the other: what starts anew for each, and that the rest is as it came up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness.model.errors import StackError
from harness.record.clock import Clock
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.local.one_host import OneHost
from harness.stack.log_slices import SoFar, copy_since, so_far
from harness.stack.reference.as_it_came_up import (
    Fingerprint,
    Members,
    fingerprint,
    members_of,
    renewed,
    still_busy,
    what_differs,
)
from harness.stack.reference.settings import REPLICAS, LocalSettings, private_files
from harness.stack.supervision.supervisord import Supervisord

__all__ = ["ServesAgain"]

FORGETFUL = ("gateway", "proxy")  # started anew for each run: breakers, ejections, drawn toxics; quick to start
ORDERS_END_S = 5.0


class ServesAgain(OneHost):
    """Part of the local stack."""

    _settings: LocalSettings

    def __init__(self, model: Path, clock: Clock | None = None) -> None:
        super().__init__(model, clock)
        self._is_ready = False  # for this run
        self._came_up: Fingerprint | None = None  # what the next run must find, if there is to be one
        self._left: Mapping[str, Members] = {}  # by the last run
        self._renew: tuple[str, ...] = ()  # replicas that must be started again for the next run
        self._logs_before: Mapping[int, SoFar] = {}

    def serve(self, run: RunContext) -> None:
        self._begin(run)
        self._logs_before = so_far(self._folder)
        if self._renew:
            self._came_up = None
        stop_s = self._settings.stop_wait_s + 3.0
        for program in (*FORGETFUL, *self._renew):
            self._up_orders.give(program, partial(self._up.restart, program, stop_within_s=stop_s))

    def release(self) -> str | None:
        if self._run is None or self._orders is None:
            return "it never came up"
        self._orders.wait(ORDERS_END_S)
        self._leave()
        different = self._what_differs()
        copy_since(self._folder, self._logs_before, self._run.folder / "stack")
        return different

    def changed(self) -> str | None:
        try:
            if why := self._up.died() or self._disturbed():
                return why
            now = members_of(self._processes())
        except (StackError, OSError) as error:
            return str(error)
        others = [name for name in now if name not in self._renew and now[name] != self._left.get(name)]
        return f"{others[0]} is not what the last run left" if others else None

    def _what_differs(self) -> str | None:
        """From when it came up."""
        try:
            if self._came_up is None or not self._is_ready:
                return "it never was ready"
            if why := self._disturbed():
                return why
            now = self._fingerprint()
            self._left = now.members
            if different := what_differs(self._came_up, now, self.held_weights):
                return different
            self._renew = renewed(self._came_up, now)
            if self._renew and self._stays_with_the_first():
                return f"{self._renew[0]} has to be started again, and the gateway would stay with the other one"
            for name in set(REPLICAS) - set(self._renew):
                active = self.service.active(name) if self._settings.service_faults else ()
                if busy := still_busy(name, self._replica(name).url, active, self._clock):
                    return busy
        except (StackError, OSError) as error:
            return str(error)
        return None

    def _disturbed(self) -> str | None:
        name = self._up.disturbed((*REPLICAS, *FORGETFUL))
        return f"{name} ended by itself, and its supervisor remembers that" if name else None

    def _stays_with_the_first(self) -> bool:
        """A gateway that does not go back to the preferred replica keeps the one that was up first."""
        assert self._run is not None
        return self._run.target.gateway.get("failback", "on") in ("off", False)

    def _fingerprint(self) -> Fingerprint:
        folders = {*(self.model_folder(name) for name in REPLICAS), private_files(self._folder).folder}
        return fingerprint(self._processes(), folders, self.held_parts, since=self._came_up)

    def _processes(self) -> dict[str, TargetProcess | None]:
        return {name: self.process(name) for name in REPLICAS}

    # -- what the rest of the stack has

    @property
    def _up(self) -> Supervisord:
        raise NotImplementedError

    def process(self, replica: str) -> TargetProcess | None:
        """The replica's server process now; None when it is down."""
        raise NotImplementedError

    def held_weights(self, replica: str) -> Weights:
        """What it has in memory."""
        raise NotImplementedError

    def _begin(self, run: RunContext) -> None:
        """What is up, or will be, belongs to this run."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Nobody watches for the run any more. Safe to call twice."""
        raise NotImplementedError
