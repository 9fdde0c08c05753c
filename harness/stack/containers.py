"""The one place that speaks to a Docker engine: whose containers are whose, what became of them, and their end.

Compose brings a project up; everything after that goes through here. Every question has a time limit, and an engine
that does not answer is an error in words, never a hang.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container

from harness.model.errors import BlastRadiusError, StackError
from harness.stack.compose_project import RUN

__all__ = ["ContainerState", "Containers", "compose_command"]

ANSWER_S = 10
QUIET_S = 86_400  # an engine may have nothing to tell for that long
NotFound, ApiError = docker.errors.NotFound, docker.errors.APIError
ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException)
SERVICE = "com.docker.compose.service"
INSTALL = "install Docker Engine 20.10 or later and its Compose plugin, or use `--stack local`"


@dataclass(frozen=True)
class ContainerState:
    """What the engine says of a container now."""

    service: str
    container_id: str
    status: str  # created, running, restarting, paused, exited, dead
    pid: int  # of its first process on the engine's host; 0: none
    exit_code: int
    oom_killed: bool
    restarts: int
    started_at: str


class Containers:
    """Containers of one run; every change asks for the run's label first."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._client: docker.DockerClient | None = None

    def check(self) -> None:
        """Raise StackError, with the remedy, when no engine answers."""
        self._engine()

    def states(self) -> dict[str, ContainerState]:
        """Service -> its container. A container that vanishes meanwhile is left out."""
        found = {}
        for container in self._containers():
            with suppress(NotFound):
                state = _state(self._inspect(str(container.id)))
                found[state.service] = state
        return found

    def state(self, service: str) -> ContainerState | None:
        """The service's container now; None when it has none."""
        return self.states().get(service)

    def restart(self, service: str, stop_within_s: int) -> None:
        """Stop it by SIGTERM, by SIGKILL when it takes longer, and start it; its restart policy stays."""
        with _saying(f"{service} was not restarted"):
            self._own(service).restart(timeout=stop_within_s)

    def start(self, service: str) -> None:
        """Start it if it is down."""
        with _saying(f"{service} was not started"):
            self._own(service).start()

    def run_inside(self, service: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start a process in a running container, as its own user; returns when it was started."""
        with _saying(f"nothing could be started in the container of {service}"):
            api, container = self._engine().api, self._own(service)
            created = api.exec_create(
                container.id, list(command), environment=dict(environ), stdout=False, stderr=False
            )
            api.exec_start(created["Id"], detach=True)

    def host_config(self, service: str) -> Mapping[str, Any]:
        """What its container was given of the host."""
        with _saying(f"the engine does not say what {service} was given"):
            found: Mapping[str, Any] = self._inspect(str(self._own(service).id))["HostConfig"]
            return found

    def update(self, service: str, words: Sequence[str]) -> None:
        """`docker update`, which the SDK has only in part."""
        command = [_docker(), "update", *words, str(self._own(service).id)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise StackError(f"docker update of {service} took more than {ANSWER_S} s") from error
        if done.returncode != 0:
            raise StackError(f"docker update of {service}: {done.stderr.strip().splitlines()[-1:]}")

    def last_words(self, service: str) -> str:
        """The last line that a service wrote."""
        for container in self._containers():
            if container.labels.get(SERVICE) == service:
                lines = container.logs(tail=20).decode(errors="replace").splitlines()
                return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
        return "it has no container"

    def save(self, folder: Path) -> None:
        """Everything the containers wrote, and what the engine knows of them, into SERVICE.log and inspect.json."""
        known = {}
        for container in self._containers():
            with suppress(NotFound):
                facts = self._inspect(str(container.id))
                name = _service(facts)
                (folder / f"{name}.log").write_bytes(container.logs(stdout=True, stderr=True, timestamps=True))
                known[name] = facts
        (folder / "inspect.json").write_text(json.dumps(known, indent=1), encoding="utf-8")

    def events(self, since_wall_s: float) -> Iterator[Mapping[str, Any]]:
        """Events of this run's containers from then on; ends when the engine ends the stream."""
        filters = {"label": [f"{RUN}={self._run_id}"], "type": ["container"]}
        yield from self._engine(timeout_s=QUIET_S).events(since=int(since_wall_s), filters=filters, decode=True)

    def remove(self) -> list[str]:
        """Everything with the run's label, containers first; returns what could not be removed, in words."""
        failed: list[str] = []
        engine, mine = self._engine(), self._mine()
        for container in self._containers():
            with suppress(ApiError):
                container.unpause()  # a paused container cannot be removed by every engine
            _gone(f"container {container.name}", lambda it=container: it.remove(force=True, v=True), failed)  # type: ignore[misc]
        for network in engine.networks.list(filters=mine):
            _gone(f"network {network.name}", network.remove, failed)
        for volume in engine.volumes.list(filters=mine):
            _gone(f"volume {volume.name}", volume.remove, failed)
        return failed

    def _mine(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{RUN}={self._run_id}"}

    def _containers(self) -> list[Container]:
        try:
            found = self._engine().containers.list(all=True, filters=self._mine(), ignore_removed=True)
        except ENGINE_ERRORS as error:
            raise StackError(f"the Docker engine does not answer ({error}); is it still running?") from error
        return found

    def _own(self, service: str) -> Container:
        for container in self._containers():
            if container.labels.get(SERVICE) == service:
                if container.labels.get(RUN) != self._run_id:
                    raise BlastRadiusError(f"container {container.name} does not belong to run {self._run_id}")
                return container
        raise StackError(f"{service} has no container in run {self._run_id}")

    def _inspect(self, container_id: str) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._engine().api.inspect_container(container_id)
        return facts

    def _engine(self, timeout_s: int = ANSWER_S) -> docker.DockerClient:
        if self._client is not None and timeout_s == ANSWER_S:
            return self._client
        try:
            client = docker.from_env(timeout=timeout_s)
            client.ping()
        except ENGINE_ERRORS as error:
            raise StackError(f"no Docker engine answers at {_where()} ({_short(error)}); {INSTALL}") from error
        if timeout_s == ANSWER_S:
            self._client = client
        return client


def _gone(what: str, remove: Callable[[], object], failed: list[str]) -> None:
    try:
        remove()
    except NotFound:
        return
    except ENGINE_ERRORS as error:
        failed.append(f"{what}: {_short(error)}")


@contextmanager
def _saying(words: str) -> Iterator[None]:
    """The engine's refusal as one sentence."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise StackError(f"{words}: {_short(error)}") from error


def compose_command(arguments: Sequence[str], environ: Mapping[str, str], within_s: float) -> None:
    """`docker compose ...`; raises StackError with the last line it wrote."""
    try:
        done = subprocess.run(
            [_docker(), "compose", *arguments],
            capture_output=True,
            text=True,
            timeout=within_s,
            env={**os.environ, **environ},
            check=False,
            start_new_session=True,  # a Ctrl-C at the terminal is for us: we take the project down
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"docker compose {arguments[-1]} took more than {within_s:.0f} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote nothing"]
        raise StackError(f"docker compose: {lines[-1]}")


def _docker() -> str:
    program = shutil.which("docker")
    if program is None:
        raise StackError(f"docker: no such program; {INSTALL}")
    return program


def _state(facts: Mapping[str, Any]) -> ContainerState:
    state = facts["State"]
    return ContainerState(
        _service(facts),
        str(facts["Id"]),
        "restarting" if state.get("Restarting") else str(state["Status"]),
        int(state.get("Pid") or 0),
        int(state.get("ExitCode") or 0),
        bool(state.get("OOMKilled")),
        int(facts.get("RestartCount") or 0),
        str(state.get("StartedAt")),
    )


def _service(facts: Mapping[str, Any]) -> str:
    labels = facts.get("Config", {}).get("Labels") or {}
    return str(labels.get(SERVICE, facts.get("Name", "")))


def _where() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _short(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error).splitlines()[0][:200]
