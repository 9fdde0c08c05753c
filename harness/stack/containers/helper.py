"""Helper containers: in the network of one of a run's containers, with the right to administer it and no other right.

What is set there outlives the helper and goes with the network. The helper goes with the run, by its label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from harness.stack.containers.project import RUN, project_name
from harness.stack.owned import RUN_LABEL

__all__ = ["HELPS", "Helper"]

HELPS = "reliability-harness.helps"  # label: id of the container, and when it was started
CONFLICT = 409  # somebody else has just started it
PATH = "/venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Helper:
    """Finds the helper of a container, or starts it, which takes a fifth of a second."""

    def __init__(self, engine: docker.DockerClient, run_id: str) -> None:
        self._engine = engine
        self._run_id = run_id

    def of(self, container: Container) -> Container:
        """`container`: as it is now. Restarted since its helper was made, it has another network and gets another."""
        now = f"{container.id} {container.attrs['State']['StartedAt']}"
        name = f"{project_name(self._run_id)}-helper-{container.short_id}"
        try:
            found = self._engine.containers.get(name)
        except docker.errors.NotFound:
            return self._start(name, container, now)
        if found.labels.get(HELPS) != now or found.status != "running":
            found.remove(force=True)
            found = self._start(name, container, now)
        return found

    def _start(self, name: str, container: Container, now: str) -> Container:
        settings: Mapping[str, Any] = {
            "name": name,
            "labels": {RUN: self._run_id, HELPS: now},
            "environment": {RUN_LABEL: self._run_id, "PATH": PATH, "XTABLES_LOCKFILE": "/run/xtables.lock"},
            "network_mode": f"container:{container.id}",
            "user": "0",
            "cap_drop": ["ALL"],
            "cap_add": ["NET_ADMIN"],
            "security_opt": ["no-new-privileges:true"],
            "read_only": True,
            "tmpfs": {"/run": "size=1m"},
            "mem_limit": "64m",
            "pids_limit": 32,
            "init": True,
        }
        try:
            self._engine.containers.run(
                container.attrs["Image"], ["sleep", "infinity"], entrypoint=[], detach=True, **settings
            )
        except docker.errors.APIError as error:
            if error.status_code != CONFLICT:
                raise
        return self._engine.containers.get(name)
