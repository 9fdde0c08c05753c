"""Where the Docker engine is, and which one it was: without its client, which takes long to import."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.model.errors import StackError

__all__ = ["at_engine", "engine_of", "known_again", "on_this_host", "where"]

LOCAL = "unix:///var/run/docker.sock"
ADDRESS = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # all that a client has to know; no secret
ENGINE_FILE = "engine.json"  # below stack/ of the run's folder: which engine has its containers


def on_this_host(address: str) -> bool:
    """Whether an engine's address, as DOCKER_HOST has it, is surely this host's.

    A socket file is. A TCP port is not, of the loopback address either: it may be the near end of a tunnel.
    """
    return address.startswith("unix://")


def where() -> str:
    """The engine's address: DOCKER_HOST, or that of the Docker context that is in use. Raises StackError."""
    return os.environ.get("DOCKER_HOST") or _of_context() or LOCAL


def _of_context() -> str | None:
    """What the client's own configuration names; None: the default."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = os.environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext") or "default"
    if name == "default":
        return None
    meta = folder / "contexts" / "meta" / hashlib.sha256(str(name).encode()).hexdigest() / "meta.json"
    host = _read(meta).get("Endpoints", {}).get("docker", {}).get("Host")
    if not host:
        raise StackError(f"{meta}: the Docker context '{name}' names no engine; `docker context use default`")
    return str(host)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def known_again(stack_folder: Path) -> None:
    """Write down which engine this is, so that whoever cleans up later asks the same one."""
    told = {name: value for name in ADDRESS if (value := os.environ.get(name))}
    (stack_folder / ENGINE_FILE).write_text(json.dumps({**told, "DOCKER_HOST": where()}), encoding="utf-8")


def engine_of(stack_folder: Path) -> Mapping[str, Any]:
    """What was written down; empty when a run has no containers."""
    return _read(stack_folder / ENGINE_FILE)


@contextmanager
def at_engine(told: Mapping[str, Any]) -> Iterator[None]:
    """Within it, this process speaks to the engine that was written down; to its own when nothing was."""
    before = {name: os.environ.get(name) for name in ADDRESS}
    if told.get("DOCKER_HOST"):
        _set({name: told.get(name) for name in ADDRESS})
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
