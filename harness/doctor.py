"""What this machine can do. Looks only; nothing is started or changed."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stack.containers.address import on_this_host, where
from harness.store.registry import Registry, registry_folder

__all__ = ["Item", "container_faults", "examine"]

ANSWER_S = 5.0
TARGET_IMAGE = "reliability-harness/target:local"
_WITHOUT_DOCKER = "install Docker Engine 20.10 or later with its Compose plugin; `--stack local` needs none"
FILES_WANTED = 4096  # a few hundred requests a second, each with its connection


@dataclass(frozen=True)
class Item:
    """One thing looked at. `needed`: nothing works without it."""

    what: str
    ok: bool
    finding: str
    remedy: str
    needed: bool = False


def examine() -> list[Item]:
    """Everything that matters, most important first."""
    looked = [_system(), _target(), _model(), _files(), _state_folder(), _left_behind(), _docker()]
    return [*looked, *_container_faults()]


def _system() -> Item:
    ok = platform.system() == "Linux" and Path("/proc/self/environ").exists()
    return Item(
        "system",
        ok,
        f"{platform.platform()}, {os.cpu_count()} cores",
        "process faults need Linux with /proc: use a container",
        True,
    )


def _target() -> Item:
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    finding = f"{', '.join(missing)} not installed" if missing else "torch and transformers are installed"
    return Item("reference target", not missing, finding, "pip install 'reliability-harness[target]'")


def _model() -> Item:
    folder = Path(os.environ.get("HARNESS_MODEL", ".model"))
    ok = (folder / "config.json").exists()
    return Item(
        "model", ok, f"{folder} {'holds one' if ok else 'holds none'}", f"python -m target_service.build_model {folder}"
    )


def _files() -> Item:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 20
    return Item(
        "open files",
        most >= FILES_WANTED,
        f"{soft:,} now, {most:,} at most",
        f"ulimit -Hn {FILES_WANTED}, or lower rates only",
    )


def _state_folder() -> Item:
    folder = registry_folder(os.environ)
    near = next(parent for parent in (folder, *folder.parents) if parent.exists())
    ok = os.access(near, os.W_OK)
    return Item(
        "state folder",
        ok,
        f"{folder} {'is usable' if ok else 'cannot be written'}",
        "set XDG_STATE_HOME to a folder that can be written",
        True,
    )


def _left_behind() -> Item:
    runs = Registry(registry_folder(os.environ)).runs()
    finding = ", ".join(run.run_id for run in runs) if runs else "nothing"
    return Item(
        "alive or left behind",
        not runs,
        finding,
        "'harness stop' ends live runs, 'harness undo' cleans up after dead ones",
    )


def _docker() -> Item:
    """Engine, Compose plugin and image; each is asked for a few seconds at most."""
    client = shutil.which("docker")
    if client is None:
        return Item("docker", False, "not installed", _WITHOUT_DOCKER)
    engine = _said(client, "version", "--format", "{{.Server.Version}}")
    if engine is None:
        return Item("docker", False, "client without an engine that answers", _WITHOUT_DOCKER)
    compose = _said(client, "compose", "version", "--short")
    if compose is None:
        return Item("docker", False, f"engine {engine} without the Compose plugin", "install docker-compose-plugin")
    built = _said(client, "image", "inspect", "--format", "{{.Id}}", TARGET_IMAGE) is not None
    finding = f"engine {engine}, Compose {compose}, the target's image {'is' if built else 'is not'} built"
    return Item("docker", built, finding, "`harness images`, or `--stack local`, which needs no container")


def _container_faults() -> list[Item]:
    """What the engine's kind allows; nothing where there is none."""
    client = shutil.which("docker")
    said = _said(client, "info", "--format", "{{json .}}") if client else None
    try:
        facts = json.loads(said or "")
    except ValueError:
        return []
    if not isinstance(facts, dict):
        return []
    return [container_faults(facts, root=os.geteuid() == 0, same_host=on_this_host(where()))]


def container_faults(facts: Mapping[str, Any], *, root: bool, same_host: bool = True) -> Item:
    """Which faults can be done to containers of an engine that says this of itself (`docker info`, as JSON).

    Processes in containers are signalled from the host, so they must be the host's, and ours to signal; on another's
    engine an agent in a container does that.
    """
    system = str(facts.get("OperatingSystem"))
    rootless = any("rootless" in str(option) for option in facts.get("SecurityOptions") or ())
    groups = f"cgroup v{facts.get('CgroupVersion') or '1'}"
    here = f"{system}, {groups}"
    if not same_host:
        return Item("container faults", True, f"{here}, of another host: process.*, network.*, node.down", "")
    if "Docker Desktop" in system or facts.get("OSType") != "linux":
        remedy = "its containers live in a virtual machine: run the harness inside that, or use an engine on Linux"
        return Item("container faults", False, f"{here}: network.* of the links only", remedy)
    if rootless:
        remedy = "its containers' processes belong to other users: use an engine that runs as root"
        return Item("container faults", False, f"{here}, rootless: network.* of the links only", remedy)
    if not root:
        remedy = "run as root: the containers' processes belong to another user"
        return Item("container faults", False, f"{here}, without root: network.* of the links only", remedy)
    return Item("container faults", True, f"{here}: every fault that `harness faults` lists for containers", "")


def _said(program: str, *arguments: str) -> str | None:
    """What a program answers; None when it fails or says nothing in time."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
