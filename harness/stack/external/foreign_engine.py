"""A Docker engine as far as containers of somebody else go: who has opted in, what became of them, and the helpers.

A helper is a container of ours beside the target's. It needs no image of its own: it runs `sh` of the target's image,
sees the host's processes, may do nothing but signal them, and ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import requests

from harness.model.errors import BlastRadiusError, StackError
from harness.stack.containers.project import RUN
from harness.stack.owned import ProcessId

__all__ = ["ForeignEngine", "Found", "helper_script", "names_of"]

ANSWER_S, QUIET_S = 10, 86_400
ERRORS = (docker.errors.DockerException, requests.RequestException)


@dataclass(frozen=True)
class Found:
    """A container that has opted in."""

    name: str
    container_id: str
    image: str
    image_id: str
    restart_policy: str
    pid: int


def helper_script(process: ProcessId, after_s: float) -> str:
    """POSIX shell: wait, then continue that very process, told from a later one by the time of its start."""
    stat = f"set -- $(sed 's/.*) //' /proc/{process.pid}/stat 2>/dev/null)"
    return f'sleep {after_s:g}; {stat}; [ "${{20}}" = "{process.started}" ] && kill -CONT {process.pid}; exit 0'


class ForeignEngine:
    """Raises StackError when none answers."""

    def __init__(self) -> None:
        self._client = _client(ANSWER_S)

    def labelled(self, labels: Sequence[str]) -> dict[str, Found]:
        """Running containers with all of the labels, by the value of the last one."""
        key = labels[-1]
        containers = self._said(lambda: self._client.containers.list(filters={"label": list(labels)}))
        containers = sorted(containers, key=lambda one: (one.labels[key], str(one.name)))
        names = names_of([one.labels[key] or str(one.name) for one in containers])
        return {
            name: _found(self._said(lambda one=one: self._client.api.inspect_container(str(one.id))))  # type: ignore[misc]
            for name, one in zip(names, containers, strict=True)
        }

    def pid(self, container_id: str) -> int | None:
        """Of its first process now, on the engine's host; None: it is down."""
        try:
            state = self._client.api.inspect_container(container_id)["State"]
        except docker.errors.NotFound:
            return None
        except ERRORS as error:
            raise StackError(f"the Docker engine does not answer ({error})") from error
        return None if state.get("Restarting") else int(state.get("Pid") or 0) or None

    def check_label(self, container_id: str, label: str) -> None:
        """Raises BlastRadiusError when it does not carry the label any more."""
        facts = self._said(lambda: self._client.api.inspect_container(container_id))
        if label not in (facts["Config"].get("Labels") or {}):
            raise BlastRadiusError(f"container {facts['Name']} does not carry the label {label}: it was not touched")

    def events(self, label: str) -> Iterator[Mapping[str, Any]]:
        """Of containers with the label, from now on."""
        filters: dict[str, Any] = {"label": [label], "type": ["container"]}
        yield from _client(QUIET_S).events(filters=filters, decode=True)

    def arm(self, run_id: str, found: Found, process: ProcessId, after_s: float) -> None:
        """Start a helper that continues a process when the time is over; it runs when this returns."""
        words = f"the helper that would continue {found.name} could not be started, so it was not paused"
        try:
            self._client.containers.run(
                found.image_id,
                ["-c", helper_script(process, after_s)],
                entrypoint="sh",
                detach=True,
                remove=True,
                user="0",
                pid_mode="host",
                network_mode="none",
                read_only=True,
                cap_drop=["ALL"],
                cap_add=["KILL"],
                security_opt=["apparmor=unconfined"],
                labels={RUN: run_id},
            )
        except ERRORS as error:
            raise StackError(f"{words}: {str(getattr(error, 'explanation', None) or error)[:200]}") from error

    def remove_helpers(self, run_id: str) -> list[str]:
        """Of one run; returns what could not be removed."""
        failed = []
        for helper in self._said(lambda: self._client.containers.list(filters={"label": f"{RUN}={run_id}"})):
            try:
                with suppress(docker.errors.NotFound):
                    helper.remove(force=True)
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):
                    failed.append(f"helper {helper.name}: {error.explanation}")
        return failed

    def _said(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except ERRORS as error:
            raise StackError(f"the Docker engine does not answer ({error}); is it still running?") from error


def _client(timeout_s: int) -> docker.DockerClient:
    try:
        client = docker.from_env(timeout=timeout_s)
        client.ping()
    except ERRORS as error:
        raise StackError(f"no Docker engine answers ({error}); external.containers needs one") from error
    return client


def _found(facts: Mapping[str, Any]) -> Found:
    policy = (facts["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    return Found(
        str(facts["Name"]).lstrip("/"),
        str(facts["Id"]),
        str(facts["Config"]["Image"]),
        str(facts["Image"]),
        policy,
        int(facts["State"].get("Pid") or 0),
    )


def names_of(labels: Sequence[str]) -> list[str]:
    """Names that tell containers apart when several opted in by the same one: llm, llm-2 …"""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label}-{seen[label]}")
    return found
