"""Nodes of the container stack: containers silenced, then killed by an order, which no restart policy undoes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.record.journal import Inverse
from harness.stack.containers.admin import ContainerAdmin
from harness.stack.containers.network import ContainerNetwork, mend_packets
from harness.stack.partition import Cut, rules

__all__ = ["ContainerNodes", "start_containers"]

DOWN = ("exited", "dead", "created")


class ContainerNodes:
    """Packets are dropped first: a killed process's kernel would say goodbye to everybody."""

    def __init__(self, run_id: str, containers: ContainerAdmin, network: ContainerNetwork) -> None:
        self._run_id = run_id
        self._containers = containers
        self._network = network

    def prepare(self, servers: Sequence[str], mark: str) -> Inverse:
        _at_once(self._containers.helper, servers)
        return Inverse("container.start", self._back(servers, mark))

    def take(self, servers: Sequence[str], mark: str) -> None:
        _at_once(lambda server: self._take(server, mark), servers)

    def bring_back(self, servers: Sequence[str], mark: str) -> None:
        start_containers(self._back(servers, mark), self._containers)

    def gone(self, servers: Sequence[str]) -> Mapping[str, str]:
        states = self._containers.states()
        return {
            one: f"{states[one].status} with code {states[one].exit_code} after {states[one].restarts} restarts"
            for one in servers
            if one in states and states[one].status in DOWN and not states[one].pid
        }

    def _back(self, servers: Sequence[str], mark: str) -> dict[str, Any]:
        silence = rules(Cut(mark, "silence"), self._run_id, {})
        return {"run_id": self._run_id, "services": list(servers), "mark": mark, "rules": silence}

    def _take(self, server: str, mark: str) -> None:
        self._network.cut(Cut(mark, "silence", server))
        self._containers.kill(server)


def start_containers(args: Mapping[str, Any], containers: ContainerAdmin | None = None) -> None:
    """Start those that are down, all at once; one that was silenced and not yet killed is heard again."""
    engine = containers or ContainerAdmin(args["run_id"])
    states = engine.states()

    def start(service: str) -> None:
        if states[service].pid:
            mend_packets({**args, "service": service}, engine)
        else:
            engine.start(service)

    _at_once(start, [one for one in args["services"] if one in states])


def _at_once(work: Callable[[str], object], servers: Sequence[str]) -> None:
    if servers:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(work, servers))
