"""What faults take hold of in containers that are up: packets, nodes, ports, relatives of a process, own faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from harness.model.process_faults import Victim
from harness.stack.base import TargetProcess
from harness.stack.containers.events import ContainerTail
from harness.stack.reference.target import OwnTarget
from harness.stack.target_signals import related

if TYPE_CHECKING:
    from harness.stack.compose.stack import ComposeSettings
    from harness.stack.containers.admin import ContainerAdmin
    from harness.stack.containers.network import ContainerNetwork
    from harness.stack.containers.nodes import ContainerNodes
    from harness.stack.containers.resources import ContainerResources

__all__ = ["ContainerHandles"]


class ContainerHandles(OwnTarget):
    """Part of the container stack, which has these."""

    _containers: ContainerAdmin | None
    _tail: ContainerTail | None
    _settings: ComposeSettings

    def process(self, replica: str) -> TargetProcess | None:
        """The replica's server process now; None when it is down."""
        raise NotImplementedError

    def _restart_then(self, replica: str, then: Callable[[], None]) -> None:
        assert self._containers is not None, "not up"
        containers = self._containers

        def restart() -> None:
            containers.restart(replica, self._settings.stop_wait_s)
            then()

        self._up_orders.give(replica, restart)

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        assert self._containers is not None, "related before up"
        state = self._containers.state(process.replica) if of == "init" else None
        return related(process, of, 0 if state is None else state.pid)

    def why_down(self, replica: str) -> str | None:
        assert self._containers is not None, "why_down before up"
        return self._containers.why_down(replica)

    @property
    def partitions(self) -> ContainerNetwork:
        # Here, since the engine's client takes 0.3 s to import.
        from harness.stack.containers.network import ContainerNetwork

        assert self._run is not None and self._links is not None and self._containers is not None, "not up"
        return ContainerNetwork(self._run.run_id, self._containers, partial(self._links.look, past=True))

    @property
    def nodes(self) -> ContainerNodes:
        from harness.stack.containers.nodes import ContainerNodes

        assert self._run is not None and self._containers is not None, "nodes before up"
        return ContainerNodes(self._run.run_id, self._containers, self.partitions)

    @property
    def resources(self) -> ContainerResources:
        from harness.stack.containers.resources import ContainerResources, Place

        assert self._run is not None and self._tail is not None and self._containers is not None, "resources before up"
        assert self._ports is not None and self._links is not None, "resources before up"
        known = (self._run.run_id, self._folder, self._containers, self.process, self._restart_then)
        look = partial(self._links.look, past=True)
        return ContainerResources(Place(*known, self._tail.ooms, self._ports.replicas, look, self._clock))
