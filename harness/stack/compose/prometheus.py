"""Prometheus beside a container run: it scrapes replicas, balancer and proxy. HARNESS_COMPOSE_PROMETHEUS=0: none.

Success and recovery are never taken from it. What it saw is kept as on the local stack, by `prometheus_witness.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.record.clock import Clock
from harness.stack.containers.project import OVERRIDE
from harness.stack.http_get import get_json
from harness.stack.ports import HeldPorts
from harness.stack.watched import Watching

__all__ = ["PROMETHEUS", "SWITCH", "TARGETS", "save_targets", "url_of", "wanted", "watching", "with_prometheus"]

PROMETHEUS = "prometheus"  # the service, and the profile that it is in
SWITCH = "HARNESS_COMPOSE_PROMETHEUS"
TARGETS = "prometheus-targets.json"  # in the run's folder, below stack/
INSIDE = 9090
ANSWER_WITHIN_S = 2.0


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the user wants one: unless told otherwise, yes."""
    return environ.get(SWITCH, "1") not in ("", "0")


def watching(*, on: bool) -> Watching:
    """For the plan."""
    return Watching("" if on else f"{SWITCH} is 0; without it, one is started beside the containers")


def with_prometheus(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The override of a run that has Prometheus as well, published on a port of its own."""
    held = HeldPorts(1)
    shared = {key: parts["services"]["toxiproxy"][key] for key in ("labels", "environment")}
    service = {**shared, "ports": [f"127.0.0.1:{held.ports[0]}:{INSIDE}"]}
    held.forget()
    proxy = parts["services"]["toxiproxy"]
    proxy = {**proxy, "command": [*proxy["command"], "-proxy-metrics"]}  # without it, it has nothing to scrape
    return {**parts, "services": {**parts["services"], "toxiproxy": proxy, PROMETHEUS: service}}


def url_of(parts: Mapping[str, Any]) -> str:
    """Where the Prometheus of an override answers on this host. Raises KeyError, ValueError: it has none."""
    _, port, _ = parts["services"][PROMETHEUS]["ports"][0].split(":")
    return f"http://127.0.0.1:{port}"


def save_targets(stack_folder: Path, clock: Clock) -> None:
    """What it scraped, and whether each target was up, as TARGETS; nothing where a run has no Prometheus."""
    try:
        parts = json.loads((stack_folder / OVERRIDE).read_text(encoding="utf-8"))
        url = url_of(parts)
    except (OSError, ValueError, KeyError):
        return
    answer = get_json(f"{url}/api/v1/targets", clock=clock, total_s=ANSWER_WITHIN_S)
    if answer is not None and answer.status == 200:
        (stack_folder / TARGETS).write_text(json.dumps(answer.body, indent=1), encoding="utf-8")
