"""What stacks have in common whose target is the harness's own: ports, links, orders, looks at replicas."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cached_property, partial
from pathlib import Path

from harness.model.event import Event
from harness.model.plan import Prompt
from harness.model.target import switched
from harness.record.clock import Clock, SystemClock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess
from harness.stack.links import Links
from harness.stack.reference.held_weights import Replica, held_parts
from harness.stack.reference.links import LocalLinks
from harness.stack.reference.model_source import golden_prompts, model_folder
from harness.stack.reference.option_names import OPTIONS
from harness.stack.reference.orders import Orders
from harness.stack.reference.service import LocalService
from harness.stack.reference.settings import LINKS, Ports, gateway_files
from harness.stack.reference.witness import Witness
from harness.stack.switches import switches_in
from harness.stack.taken_port import TakenPort
from harness.stack.target_signals import TargetSignals
from harness.stack.traffic import LocalTraffic

__all__ = ["OwnTarget"]


class OwnTarget:
    """Part of the local and of the container stack. `model`: the pristine model folder, which is only read."""

    def __init__(self, model: Path, clock: Clock | None = None) -> None:
        self._model = model.resolve()
        self._clock = clock or SystemClock()
        self._run: RunContext | None = None
        self._ports: Ports | None = None
        self._links: LocalLinks | None = None
        self._witness: Witness | None = None
        self._orders: Orders | None = None

    def prompts(self) -> Mapping[str, tuple[Prompt, ...]]:
        return golden_prompts(self._model)

    def target_options(self) -> Mapping[str, Collection[str]]:
        """What a scenario may set, so that a wrong name is refused when it is planned."""
        return OPTIONS

    def switches(self) -> Mapping[str, str]:
        """Every program of the target inherits the harness's environment."""
        return switches_in(os.environ)

    @property
    def base_url(self) -> str:
        assert self._ports is not None, "base_url before up"
        return self._ports.through("gateway")

    def final_counters(self) -> list[Event]:
        """What everybody has counted at last, as `counters` events. Call when the load has ended; takes up to 1.1 s."""
        return self._witness.final_counters() if self._witness else []

    def signal(self, process: TargetProcess, name: str) -> bool:
        return self._signals.send(process, name)

    def state(self, process: TargetProcess) -> str:
        return self._signals.state(process)

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return self._signals.pause_inverse(process)

    def links(self) -> Mapping[str, str]:
        return LINKS

    @property
    def network(self) -> Links:
        assert self._links is not None, "network before up"
        return self._links

    def take_port(self, replica: str) -> TakenPort:
        assert self._ports is not None, "take_port before up"
        return TakenPort(self._ports.replicas[replica], self._clock)

    @property
    def service(self) -> LocalService:
        assert self._run is not None and self._ports is not None and self._links is not None, "service before up"
        look = partial(self._links.look, past=True)
        return LocalService((self._run.label, self._folder), self._ports, look, self._clock)

    @cached_property
    def traffic(self) -> LocalTraffic:
        assert self._run is not None, "traffic before up"
        return LocalTraffic(self._run.run_id, self.base_url, self._clock, self.user_key())

    def user_key(self) -> str | None:
        assert self._run is not None, "user_key before up"
        if not switched(self._run.target.gateway.get("api_keys")):
            return None
        return gateway_files(self._folder).api_keys.read_text(encoding="ascii").strip()

    def model_folder(self, replica: str) -> Path:
        assert self._run is not None, "the stack is not up"
        return model_folder(self._folder, self._run.target, replica)

    def held_parts(self, replica: str) -> Mapping[str, str]:
        return held_parts(self._replica(replica), self._clock)

    def _replica(self, name: str) -> Replica:
        assert self._ports is not None, "the stack is not up"
        return Replica(name, self._ports.url(name), self._model)

    @property
    def _up_orders(self) -> Orders:
        assert self._orders is not None, "the stack is not up"
        return self._orders

    @property
    def _signals(self) -> TargetSignals:
        assert self._run is not None, "the stack is not up"
        return TargetSignals(self._run.label)

    @property
    def _folder(self) -> Path:
        assert self._run is not None, "the stack is not up"
        return self._run.stack_folder
