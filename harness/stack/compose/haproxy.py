"""A real HAProxy in front of the replicas instead of our gateway: what a run changes for it, and what it publishes.

It says of each server whether it is up. It does not say when it missed its first check, nor which request was the last
that it sent there, so those stages of a recovery are not observable; users are observed as ever.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from harness.model.event import Event
from harness.record.clock import Clock
from harness.stack.http_get import get_json
from harness.stack.reference.settings import Ports
from harness.stack.reference.witness import Scene

__all__ = ["HAPROXY", "HaproxyStates", "behind_haproxy", "not_served_by_haproxy", "parse_states",
           "watching_haproxy"]  # fmt: skip

HAPROXY = "haproxy"  # the balancer, its service in compose.yaml, and the profile that it is in
STATISTICS = "/haproxy/statistics;csv"
BACKEND = "replicas"  # as haproxy.cfg names it
ANSWER_WITHIN_S = 0.8


def behind_haproxy(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The override of a run whose users meet HAProxy: it takes the gateway's place, name and port."""
    services = dict(parts["services"])
    gateway = services.pop("gateway")
    kept = {key: gateway[key] for key in ("labels", "environment", "ports")}
    services[HAPROXY] = {**kept, "networks": {"app": {"aliases": ["gateway"]}, "edge": {}}}
    return {**parts, "services": services}


def parse_states(text: str) -> dict[str, str]:
    """Server -> its status, such as UP, DOWN, `DOWN 1/2` or `no check`, from HAProxy's statistics as CSV."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {
        row["svname"]: row["status"]
        for row in rows
        if row.get("pxname") == BACKEND and row.get("svname") not in ("BACKEND", "FRONTEND")
    }


def not_served_by_haproxy(ports: Ports, clock: Clock) -> str | None:
    """None: every replica is ready, HAProxy says so too, and users reach it through the proxy."""
    states = _states(ports.url("gateway"))
    if states is None:
        return "haproxy: not answering"
    for name in ports.replicas:
        own = get_json(f"{ports.url(name)}/ready", clock=clock, total_s=ANSWER_WITHIN_S)
        if own is None or own.status != 200:
            return f"{name}: {'not answering' if own is None else own.body.get('reason') or 'not ready'}"
        if states.get(name) != "UP":
            return f"{name}: ready, and {states.get(name) or 'unknown'} to HAProxy"
    return None if _states(ports.through("gateway")) is not None else "proxy: not forwarding"


class HaproxyStates:
    """What HAProxy says of its servers, as events when it changes; seen within the time between two looks."""

    def __init__(self, ports: Ports, clock: Clock, origin_s: float) -> None:
        self._ask: Callable[[], dict[str, str] | None] = lambda: _states(ports.url("gateway"))
        self._clock = clock
        self._origin_s = origin_s
        self._last: dict[str, str] = {}

    def new_events(self) -> list[Event]:
        """`target.balancer_state` for every server whose status differs from the last look's."""
        states = self._ask()
        if states is None:
            return []
        at_s = self._clock.now() - self._origin_s
        changed = {name: status for name, status in states.items() if self._last.get(name) != status}
        self._last = states
        return [
            Event(at_s, "target.balancer_state", {"replica": name, "status": status})
            for name, status in changed.items()
        ]


def watching_haproxy(scene: Scene) -> Scene:
    """A run's scene whose balancer is HAProxy."""
    return replace(scene, balancer=HaproxyStates(scene.ports, scene.clock, scene.origin_s).new_events)


def _states(base_url: str) -> dict[str, str] | None:
    """What it says now; None when it does not answer. It sends its statistics in chunks even to HTTP/1.0."""
    where = urlsplit(base_url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", STATISTICS)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return parse_states(text) if answer.status == 200 else None
