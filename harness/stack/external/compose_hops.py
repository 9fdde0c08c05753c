"""An override for somebody's compose project: opt-in labels, and a Toxiproxy on every hop that can be found. Pure.

A hop is a service's port that others are told of, in a published port, in `expose`, or in another service's environment
or command as `SERVICE:PORT`. The Toxiproxy listens for it on a port of its own; what other services are told is changed
to that port, and users' own clients have to be told themselves. The original ports stay open: looks past the proxy use
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.stack.external.opted_in import TARGET

__all__ = ["API_PORT", "CONFIG", "PROXY", "Hops", "find_hops", "override_of", "proxies_of"]

PROXY = "harness-toxiproxy"  # the service
CONFIG = "toxiproxy.harness.json"
IMAGE = "${HARNESS_TOXIPROXY_IMAGE:-ghcr.io/shopify/toxiproxy:2.12.0}"
API_PORT = 8474
PORT_MAX = 65_535
THROUGH, PAST = (
    18_000,
    19_000,
)  # ports of 127.0.0.1, one above the other for each hop; below those that runs choose from
ALL = "0.0.0.0"  # noqa: S104  inside a container, whose ports are published on 127.0.0.1 alone


@dataclass(frozen=True)
class Hops:
    """Link name -> (service, its port in the container). One port: the link has the service's name."""

    of: Mapping[str, tuple[str, int]]

    def through(self, link: str) -> int:
        """Where the Toxiproxy listens for it, in its container and on 127.0.0.1."""
        return THROUGH + list(self.of).index(link)

    def past(self, link: str) -> int:
        """Where the service itself is published on 127.0.0.1."""
        return PAST + list(self.of).index(link)


def find_hops(config: Mapping[str, Any]) -> Hops:
    """From `docker compose config --format json`."""
    services: Mapping[str, Any] = config.get("services") or {}
    found: dict[str, list[int]] = {name: [] for name in services}
    for name, service in services.items():
        told_of = [*(service.get("ports") or []), *(service.get("expose") or [])]
        found[name] += [port for one in told_of if (port := _port_in(one)) is not None]
    names = "|".join(sorted((re.escape(name) for name in services), key=len, reverse=True))
    told = re.compile(rf"(?<![\w.-])({names}):(\d{{1,5}})(?!\d)")
    for text in (text for service in services.values() for text in _texts(service)):
        for name, port in told.findall(text):
            found[name] += [int(port)] if int(port) <= PORT_MAX else []
    hops: dict[str, tuple[str, int]] = {}
    for name, ports in found.items():
        for port in dict.fromkeys(ports):
            hops[name if len(set(ports)) == 1 else f"{name}-{port}"] = (name, port)
    return Hops(hops)


def override_of(config: Mapping[str, Any], hops: Hops) -> dict[str, Any]:
    """The override file's content."""
    services: dict[str, Any] = {}
    networks: dict[str, None] = {}
    for name, service in (config.get("services") or {}).items():
        changed: dict[str, Any] = {"labels": {TARGET: name}}
        published = [f"127.0.0.1:{hops.past(link)}:{port}" for link, (whose, port) in hops.of.items() if whose == name]
        changed |= {"ports": published} if published else {}
        changed |= _told_otherwise(service, hops)
        services[name] = changed
        networks |= dict.fromkeys(service.get("networks") or ["default"])
    through = [f"127.0.0.1:{hops.through(link)}:{hops.through(link)}" for link in hops.of]
    services[PROXY] = {
        "image": IMAGE,
        "command": [f"-host={ALL}", f"-port={API_PORT}", "-config=/toxiproxy.json"],
        "volumes": [f"./{CONFIG}:/toxiproxy.json:ro"],
        "ports": [f"127.0.0.1:{API_PORT}:{API_PORT}", *through],
        "networks": sorted(networks),
        "restart": "unless-stopped",
    }
    return {"services": services}


def proxies_of(hops: Hops) -> list[dict[str, Any]]:
    """What the Toxiproxy is set up with."""
    return [
        {"name": link, "listen": f"{ALL}:{hops.through(link)}", "upstream": f"{service}:{port}", "enabled": True}
        for link, (service, port) in hops.of.items()
    ]


def _told_otherwise(service: Mapping[str, Any], hops: Hops) -> dict[str, Any]:
    """Environment and command of a service that is told of a hop, with the proxy's address instead."""
    environment = {
        name: _through_proxy(value, hops)
        for name, value in _environment(service).items()
        if _through_proxy(value, hops) != value
    }
    changed: dict[str, Any] = {"environment": environment} if environment else {}
    command = service.get("command")
    if isinstance(command, list) and (new := [_through_proxy(str(word), hops) for word in command]) != command:
        changed["command"] = new
    return changed


def _through_proxy(text: str, hops: Hops) -> str:
    for link, (service, port) in hops.of.items():
        text = re.sub(rf"(?<![\w.-]){re.escape(service)}:{port}(?!\d)", f"{PROXY}:{hops.through(link)}", text)
    return text


def _texts(service: Mapping[str, Any]) -> Iterator[str]:
    yield from _environment(service).values()
    command = service.get("command") or []
    yield from (str(word) for word in ([command] if isinstance(command, str) else command))


def _environment(service: Mapping[str, Any]) -> dict[str, str]:
    """Both ways to write it; a name alone is passed on from the outside and tells nothing."""
    told = service.get("environment") or {}
    pairs = told.items() if isinstance(told, Mapping) else (str(one).partition("=")[::2] for one in told)
    return {str(name): value for name, value in pairs if isinstance(value, str) and value}


def _port_in(told: object) -> int | None:
    """The port in the container: of 8000, "127.0.0.1:80:8000/tcp", or {target: 8000}. None: a range, or no TCP."""
    if isinstance(told, Mapping):
        told = f"{told.get('target')}/{told.get('protocol', 'tcp')}"
    port, _, protocol = str(told).rpartition(":")[2].partition("/")
    return int(port) if port.isdigit() and protocol in ("", "tcp") else None
