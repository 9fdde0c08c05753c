"""What a run adds to compose/compose.yaml, as data: commands, ports, labels, each replica's copy of the model.

Pure but for `own`. JSON is YAML, so the override file is written as JSON.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model.scenario import TargetOptions
from harness.stack.base import RunContext
from harness.stack.owned import RUN_LABEL, identify
from harness.stack.reference.settings import (
    LOGS,
    REPLICAS,
    GatewayFiles,
    Ports,
    PrivateFiles,
    gateway_files,
    private_files,
    proxy_seed,
)
from harness.stack.reference.wiring import Wires, gateway_options, replica_options, routes

__all__ = ["INSIDE", "LINK_PORTS", "OVERRIDE", "OWNER", "RUN", "SERVICES", "USER", "Owner", "override", "own",
           "project_name", "with_switches"]  # fmt: skip

OVERRIDE = "compose.override.json"  # in the run's folder, below stack/
RUN = "reliability-harness.run"  # labels of everything that a run makes
OWNER = "reliability-harness.owner"
SERVICES = (*REPLICAS, "gateway", "toxiproxy")
INSIDE = 8000  # where replicas and gateway listen in their containers
LINK_PORTS = {"gateway": 9000, **{name: 9001 + number for number, name in enumerate(REPLICAS)}}
API_PORT = 8474
ACCESS = "/access"  # in the target's containers: the run's folder of access, error and performance logs
PRIVATE = "/private"  # in a replica's container: the run's token, options of its next starts; a gateway's: its secrets
USER = 10001  # and group, of the target's processes in containers
USERS = "gateway"
ALL = "0.0.0.0"  # noqa: S104  inside a container, whose ports are published on 127.0.0.1 alone


WIRES = Wires(
    replicas={name: f"http://{name}:{INSIDE}" for name in REPLICAS},
    links={name: f"http://toxiproxy:{LINK_PORTS[name]}" for name in REPLICAS},
    gateway=f"http://gateway:{INSIDE}",
    register_token=str(PrivateFiles(Path(PRIVATE)).register_token),
    gateway_register_token=str(GatewayFiles(Path(PRIVATE)).register_token),
    api_keys=str(GatewayFiles(Path(PRIVATE)).api_keys),
)


@dataclass(frozen=True)
class Owner:
    """The process that a run's containers belong to."""

    pid: int
    started: int  # clock ticks since boot


def own() -> Owner:
    """This process."""
    me = identify(os.getpid())
    return Owner(os.getpid(), me.started if me else 0)


def project_name(run_id: str) -> str:
    """What Compose takes as a project's name: lower case letters, digits, - and _, at most 63."""
    return re.sub(r"[^a-z0-9_-]", "-", f"harness-{run_id.lower()}")[:63].rstrip("-")


def override(
    run: RunContext, owner: Owner, ports: Ports, models: Mapping[str, Path], *, opened: bool = True
) -> dict[str, Any]:
    """The override file. Host ports are those of `ports`; `models`: replica -> folder on the engine's host.

    `opened`: replicas take the run's token, which opens their fault endpoints, and options of their next starts.
    """
    labels = {RUN: run.run_id, OWNER: f"{owner.pid} {owner.started}"}
    shared = {"labels": labels, "environment": {RUN_LABEL: run.run_id}}
    private = private_files(run.folder / "stack").folder
    logs = {**_folder(run.folder / "stack" / LOGS, ACCESS), "read_only": False}
    services: dict[str, Any] = {
        name: {
            **shared,
            "command": _replica(name, run.target, opened=opened),
            "ports": [_published(ports.replicas[name], INSIDE)],
            "volumes": [_folder(models[name], "/model"), logs, *([_folder(private, PRIVATE)] if opened else [])],
        }
        for name in REPLICAS
    }
    services["gateway"] = {
        **shared,
        "command": _gateway(run.target),
        "ports": [_published(ports.gateway, INSIDE)],
        "volumes": [_folder(models["gateway"], "/model"), logs, *_secrets(run)],
    }
    published = [_published(ports.proxy_api, API_PORT)]
    # The users' link is published by compose.yaml itself, at HARNESS_PORT: Compose appends ports, it replaces none.
    published += [_published(ports.links[link], inside) for link, inside in LINK_PORTS.items() if link != USERS]
    services["toxiproxy"] = {**shared, "ports": published, "command": _proxy(run)}
    networks = {name: {"labels": labels} for name in ("app", "edge", "front")}
    return {"services": services, "networks": networks}


def with_switches(parts: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The same override, in which replicas and gateway get variables of Compose's own environment; no file has them."""
    passed_on, servers = dict.fromkeys(names), {*REPLICAS, "gateway"}
    services = {
        name: {**service, "environment": {**service["environment"], **passed_on}} if name in servers else service
        for name, service in parts["services"].items()
    }
    return {**parts, "services": services}


def _replica(name: str, target: TargetOptions, *, opened: bool) -> list[str]:
    files = PrivateFiles(Path(PRIVATE))
    placed = ["--host", ALL, "--port", str(INSIDE), "--name", name, "--model", "/model", "--log-dir", ACCESS]
    command = ["python3", "-m", "target_service.replica", *placed]
    if not opened:
        return [*command, *replica_options(target, name, WIRES)]
    token, at_start = ["--faults-token-file", str(files.token)], f"@{files.start_options(name)}"
    return [*command, *token, *replica_options(target, name, WIRES), at_start]


def _gateway(target: TargetOptions) -> list[str]:
    placed = ["--host", ALL, "--port", str(INSIDE), *routes(target, WIRES), "--golden", "/model/golden.json"]
    logs = ["--log-dir", ACCESS]
    return ["python3", "-m", "target_service.gateway", *placed, *logs, *gateway_options(target, WIRES)]


def _secrets(run: RunContext) -> list[dict[str, Any]]:
    """The gateway's own, if it has any."""
    folder = gateway_files(run.folder / "stack").folder
    return [_folder(folder, PRIVATE)] if run.target.secret_options else []


def _proxy(run: RunContext) -> list[str]:
    placed = ["-host", ALL, "-port", str(API_PORT), "-config", "/proxies.json", "--pass-reset"]
    return ["python3", "-m", "harness.toxics", *placed, "-seed", proxy_seed(run.seed), "-instance", run.run_id]


def _published(outside: int, inside: int) -> str:
    return f"127.0.0.1:{outside}:{inside}"


def _folder(source: Path, inside: str) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": inside, "read_only": True}
