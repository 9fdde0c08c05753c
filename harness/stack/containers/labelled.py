"""The one place that speaks to a Docker engine: whose containers are whose, what became of them, and their end.

Compose brings a project up; everything after that goes through here. Every question has a time limit, and an engine
that does not answer is an error in words, never a hang.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors
from docker.models.containers import Container

from harness.model.errors import BlastRadiusError, StackError
from harness.stack.containers.engine import (
    ANSWER_S,
    ENGINE_ERRORS,
    QUIET_S,
    NotFound,
    answering,
    connected,
    saying,
    short,
)
from harness.stack.containers.project import RUN

__all__ = ["ContainerState", "Containers"]

SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"


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
    error: str = ""  # why it was not started


class Containers:
    """Containers of one run; every change asks for the run's label first."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._client: docker.DockerClient | None = None
        self._ids: dict[str, str] = {}  # of containers, by service: a restart keeps them, and a list takes long

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection to the engine; the next question makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def check(self) -> None:
        """Raise StackError, with the remedy, when no engine answers."""
        self._engine()

    def wall_s(self) -> float:
        """The wall clock of its host, in seconds since the epoch."""
        with answering():
            said = str(self._engine().info()["SystemTime"])
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", said).replace("Z", "+00:00")).timestamp()

    def states(self) -> dict[str, ContainerState]:
        """Service -> its container. A container that vanishes meanwhile is left out."""
        found = {}
        for container in self._containers():
            with suppress(NotFound), answering():
                state = _state(self._inspect(str(container.id)))
                found[state.service] = state
        return found

    def state(self, service: str) -> ContainerState | None:
        """The service's container now; None when it has none."""
        found = self.container_id(service)
        if found is None:
            return None
        try:
            return _state(self._inspect(found))
        except NotFound:
            self._ids.pop(service, None)
            return None
        except ENGINE_ERRORS as error:
            raise _silent(error) from error

    def container_id(self, service: str) -> str | None:
        """The id of the service's container; None when it has none. Asked once: a restart keeps it."""
        if service not in self._ids:
            filters = {"label": [f"{RUN}={self._run_id}", f"{SERVICE}={service}"]}
            try:
                rows = self._engine().api.containers(all=True, filters=filters)
            except ENGINE_ERRORS as error:
                raise _silent(error) from error
            if not rows:
                return None
            self._ids[service] = str(rows[0]["Id"])
        return self._ids[service]

    def restart(self, service: str, stop_within_s: int) -> None:
        """Stop it by SIGTERM, by SIGKILL when it takes longer, and start it; its restart policy stays."""
        with saying(f"{service} was not restarted"):
            self._own(service).restart(timeout=stop_within_s)

    def start(self, service: str) -> None:
        """Start it if it is down."""
        with saying(f"{service} was not started"):
            self._own(service).start()

    def why_down(self, service: str) -> str | None:
        """How the last one ended, or why it was not started; None: it has run since it was last ordered to."""
        state = self.state(service)
        if state is None or (state.pid and not state.restarts):
            return None
        if state.pid:  # an order to start sets the count to 0, so it has ended since
            started = datetime.fromisoformat(f"{state.started_at[:26].rstrip('Z')}+00:00").timestamp()
            lines = self._own(service).logs(until=started, tail=20).decode(errors="replace").splitlines()
            words = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
            return f"it ended and was restarted {state.restarts} times: {words}"
        return state.error or f"exit status {state.exit_code}: {self.last_words(service)}"

    def kill(self, service: str) -> None:
        """SIGKILL to all of it, as an operator does: its restart policy does not bring it back."""
        with saying(f"{service} was not killed"), suppress(NotFound):
            container = self._own(service)
            if container.status == "running":
                container.kill()

    def last_words(self, service: str) -> str:
        """The last line that a service wrote."""
        for container in self._containers():
            if container.labels.get(SERVICE) == service:
                with suppress(NotFound), answering():
                    lines = container.logs(tail=20).decode(errors="replace").splitlines()
                    return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
        return "it has no container"

    def save(self, folder: Path) -> None:
        """Everything the containers wrote, and what the engine knows of them, into SERVICE.log and inspect.json."""
        known = {}
        for container in self._containers():
            with suppress(NotFound), answering():
                facts = self._inspect(str(container.id))
                name = _service(facts)
                if SERVICE not in container.labels:
                    continue  # a helper
                (folder / f"{name}.log").write_bytes(container.logs(stdout=True, stderr=True, timestamps=True))
                known[name] = facts
        (folder / "inspect.json").write_text(json.dumps(known, indent=1), encoding="utf-8")

    def events(self, since_wall_s: float) -> Iterator[Mapping[str, Any]]:
        """Events of this run's containers from then on; ends when the engine ends the stream."""
        filters = {"label": [f"{RUN}={self._run_id}"], "type": ["container"]}
        with closing(connected(QUIET_S)) as client:
            yield from client.events(since=int(since_wall_s), filters=filters, decode=True)

    def strangers(self, project: str) -> list[str]:
        """Containers of a Compose project that do not carry this run's label."""
        with answering():
            found = self._engine().containers.list(
                all=True, filters={"label": f"{PROJECT}={project}"}, ignore_removed=True
            )
        return [str(one.name) for one in found if one.labels.get(RUN) != self._run_id]

    def missing_images(self, wanted: Sequence[str]) -> list[str]:
        """Those that the engine does not have."""
        missing = []
        for image in wanted:
            try:
                with answering():
                    self._engine().images.get(image)
            except NotFound:
                missing.append(image)
        return missing

    def anything(self) -> list[str]:
        """What carries the run's label now: containers, networks and volumes, in words."""
        engine, mine = self._engine(), self._mine()
        with answering():
            return [
                *(f"container {one.name}" for one in self._containers()),
                *(f"network {one.name}" for one in engine.networks.list(filters=mine)),
                *(f"volume {one.name}" for one in engine.volumes.list(filters=mine)),
            ]

    def remove(self) -> list[str]:
        """Everything with the run's label, containers first; returns what could not be removed, in words."""
        failed: list[str] = []
        engine, mine = self._engine(), self._mine()
        for container in self._containers():
            with suppress(*ENGINE_ERRORS):
                container.unpause()  # a paused container cannot be removed by every engine
            _gone(f"container {container.name}", lambda it=container: it.remove(force=True, v=True), failed)  # type: ignore[misc]
        with answering():
            networks, volumes = engine.networks.list(filters=mine), engine.volumes.list(filters=mine)
        for network in networks:
            _gone(f"network {network.name}", network.remove, failed)
        for volume in volumes:
            _gone(f"volume {volume.name}", volume.remove, failed)
        return failed

    def _mine(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{RUN}={self._run_id}"}

    def _containers(self) -> list[Container]:
        with answering():
            return self._engine().containers.list(all=True, filters=self._mine(), ignore_removed=True)

    def _own(self, service: str) -> Container:
        found = self.container_id(service)
        if found is not None:
            with suppress(NotFound):
                container = self._engine().containers.get(found)
                if container.labels.get(RUN) != self._run_id:
                    raise BlastRadiusError(f"container {container.name} does not belong to run {self._run_id}")
                return container
        raise StackError(f"{service} has no container in run {self._run_id}")

    def _inspect(self, container_id: str) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._engine().api.inspect_container(container_id)
        return facts

    def _engine(self) -> docker.DockerClient:
        if self._client is None:
            self._client = connected(ANSWER_S)
        return self._client


def _silent(error: BaseException) -> StackError:
    return StackError(f"the Docker engine does not answer ({error}); is it still running?")


def _gone(what: str, remove: Callable[[], object], failed: list[str]) -> None:
    try:
        remove()
    except NotFound:
        return
    except ENGINE_ERRORS as error:
        failed.append(f"{what}: {short(error)}")


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
        str(state.get("Error") or ""),
    )


def _service(facts: Mapping[str, Any]) -> str:
    labels = facts.get("Config", {}).get("Labels") or {}
    return str(labels.get(SERVICE, facts.get("Name", ""))).lstrip("/")
