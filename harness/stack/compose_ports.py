"""Where a run's containers are published on 127.0.0.1."""

from __future__ import annotations

from harness.stack.local_settings import LINKS, REPLICAS, Ports
from harness.stack.ports import HeldPorts

__all__ = ["hold_ports"]


def hold_ports() -> tuple[HeldPorts, Ports]:
    """Free ports for replicas, gateway, links and the proxy's API, held until they are released."""
    n = len(REPLICAS)
    held = HeldPorts(n + len(LINKS) + 2)
    of_replicas, (gateway, api), of_links = held.ports[:n], held.ports[n : n + 2], held.ports[n + 2 :]
    replicas, links = dict(zip(REPLICAS, of_replicas, strict=True)), dict(zip(LINKS, of_links, strict=True))
    return held, Ports(replicas, gateway, links, api)
