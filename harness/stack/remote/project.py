"""What a run's project is on an engine of another host: no published port, no folder of this host, two containers more.

`load` stands on the users' network: the load generator runs in it, and the far end of a tunnel. `signals` sees the
processes of the engine's host, has no network and no capability, and runs as the target's own user. What they need
lies in volumes of the run, which are filled through the engine. Pure but for `packed`.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from harness.stack.base import RunContext
from harness.stack.containers.project import ACCESS, API_PORT, INSIDE, LINK_PORTS, RUN, USER, project_name
from harness.stack.owned import RUN_LABEL
from harness.stack.reference.settings import LINKS, REPLICAS

__all__ = ["CODE", "LOAD", "MODEL", "SIGNALS", "WRITTEN", "code_files", "log_files", "model_files", "on_another_host",
           "packed", "servers", "volumes"]  # fmt: skip

LOAD, SIGNALS = "load", "signals"  # services
CODE = "/code"  # the harness itself, in both of them
MODEL = "/model"
WRITTEN = "written"  # a folder of the volume at ACCESS, the target's user's; a volume itself is root's
PROXIES = "/proxies.json"  # compose.yaml mounts a file of this host there; here it is a folder
PACKAGE = Path(__file__).parents[2]
Files = Iterable[tuple[Path, str]]  # each with its name in the volume


def volumes(run_id: str) -> dict[str, str]:
    """What is mounted -> name of the run's volume."""
    return {place: f"{project_name(run_id)}-{place.strip('/')}" for place in (CODE, MODEL, ACCESS)}


def servers() -> list[str]:
    """What the tunnel leads to, in the order of the ports that `laid_out` takes."""
    own = [f"{name}:{INSIDE}" for name in (*REPLICAS, "gateway")]
    return [*own, f"toxiproxy:{API_PORT}", *(f"toxiproxy:{LINK_PORTS[link]}" for link in LINKS)]


def on_another_host(parts: Mapping[str, Any], run: RunContext, image: str) -> dict[str, Any]:
    """The override file for such an engine, from that for one of this host."""
    code, model, logs = (_volume(place.strip("/"), place) for place in (CODE, MODEL, ACCESS))
    mounts = [model, {**logs, "read_only": False}]
    services = {name: {**service, "ports": [], "volumes": mounts} for name, service in parts["services"].items()}
    for name in (*REPLICAS, "gateway"):
        words = [f"{ACCESS}/{WRITTEN}" if word == ACCESS else word for word in services[name]["command"]]
        services[name] = {**services[name], "command": words}
    proxy = services["toxiproxy"]
    command = [f"{PROXIES}/proxies.json" if word == PROXIES else word for word in proxy["command"]]
    services["toxiproxy"] = {**proxy, "command": command, "volumes": [{**code, "target": PROXIES}]}
    ours = _ours(run.run_id, image, [code, logs])
    services[LOAD] = {**ours, "networks": ["edge", "front"], "mem_limit": "1g", "pids_limit": 256}
    services[SIGNALS] = {**ours, "network_mode": "none", "pid": "host", "read_only": True, "mem_limit": "128m"}
    named = {place.strip("/"): {"name": name, "external": True} for place, name in volumes(run.run_id).items()}
    return {**parts, "services": services, "volumes": named}


def _ours(run_id: str, image: str, mounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "image": image,
        "labels": {RUN: run_id},
        "environment": {RUN_LABEL: run_id},
        "command": ["sleep", "infinity"],
        "init": True,
        "working_dir": CODE,
        "user": f"{USER}:{USER}",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": mounts,
    }


def _volume(name: str, target: str) -> dict[str, Any]:
    return {"type": "volume", "source": name, "target": target, "read_only": True}


def code_files(compose_folder: Path) -> Files:
    """The harness as it is here, so that both ends are of one version, and what the proxy is set up with."""
    yield compose_folder / "toxiproxy" / "proxies.json", "proxies.json"
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, str(path.relative_to(PACKAGE.parent))


def model_files(folder: Path) -> Files:
    """Every file of the pristine model."""
    return ((path, str(path.relative_to(folder))) for path in sorted(folder.rglob("*")) if path.is_file())


def log_files() -> Files:
    """The folder that the target's logs are written into."""
    yield PACKAGE, WRITTEN


def packed(files: Files, into: IO[bytes]) -> None:
    """As a tar archive that everybody may read; a folder is empty, and the target's user's.

    `into` stands at its beginning afterwards.
    """
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path, name in files:
            entry = archive.gettarinfo(str(path), name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            if path.is_dir():
                entry.mode, entry.uid, entry.gid = 0o755, USER, USER
                archive.addfile(entry)
                continue
            entry.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
    into.seek(0)
