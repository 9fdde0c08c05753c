"""What this machine can do. Looks only; nothing is started or changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.store.registry import Registry, registry_folder

__all__ = ["Item", "examine"]

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
    return [_system(), _target(), _model(), _files(), _state_folder(), _left_behind(), _docker()]


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
    socket = Path("/var/run/docker.sock")
    client = shutil.which("docker")
    ok = client is not None and socket.exists()
    finding = "engine socket found" if ok else ("client without an engine" if client else "not installed")
    return Item("docker", ok, finding, "not needed for the local stack")
