"""Replicas over HTTP, and a command that restarts one."""

from __future__ import annotations

import http.client
import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.model.golden import GOLDEN, read_golden
from target_service.releases.isolation import GatewayIsolation
from target_service.releases.rollout import Sighting, link_of
from target_service.releases.store import ReleaseError

__all__ = ["HttpFleet"]

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HttpFleet:
    """`addresses` are HOST:PORT by name; `restart_command` may hold {replica}, and must return when it has asked."""

    root: Path
    addresses: Mapping[str, str]
    restart_command: str
    prompts: int = 4
    gateway: GatewayIsolation | None = None  # None: whoever restarts sees to it that no user is there

    def isolate(self, name: str) -> None:
        """By the gateway, if there is one."""
        if self.gateway is not None:
            self.gateway.isolate(name)

    def restart(self, name: str) -> None:
        """Run the command; its failure is a ReleaseError with the end of what it said."""
        command = [part.replace("{replica}", name) for part in shlex.split(self.restart_command)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReleaseError(f"the restart command failed: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-200:]
            raise ReleaseError(f"the restart command ended with {done.returncode}: {said}")

    def look(self, name: str) -> Sighting:
        """/ready and /version; a replica that does not answer is not ready."""
        try:
            status, ready = self._get(name, "/ready")
            _, version = self._get(name, "/version")
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Sighting(False, f"no answer ({error})")
        reason = None if status == 200 else str(ready.get("reason"))
        return Sighting(status == 200, reason, version.get("version"), ready.get("incarnation"))

    def wrong_answer(self, name: str) -> str | None:
        """Ask some golden prompts, the tasks in turn; a release without golden answers cannot be asked."""
        try:
            golden = read_golden(self.root / link_of(name) / GOLDEN)
        except (ValueError, OSError) as error:
            return f"{link_of(name)}: {error}"
        if golden is None:
            return None
        rotation = golden.rotation()
        for prompt in (next(rotation) for _ in range(self.prompts)):
            asked = prompt.messages[-1]["content"]
            try:
                status, reply = self._post(name, prompt.body())
                got = reply["choices"][0]["message"]["content"] if status == 200 else f"status {status}"
            except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
                return f"{asked!r} got no answer ({error!r})"
            if got != prompt.answer:
                return f"{asked!r} is answered {got!r}, not {prompt.answer!r}"
        return None

    def _get(self, name: str, path: str) -> tuple[int, dict[str, Any]]:
        return self._ask(name, "GET", path, None)

    def _post(self, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self._ask(name, "POST", "/v1/chat/completions", json.dumps(body))

    def _ask(self, name: str, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self.addresses[name], timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/json", "X-Probe": "rollout"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = json.loads(response.read())
        finally:
            connection.close()
        if not isinstance(data, dict):
            raise ValueError(f"{path}: not a JSON object")
        return response.status, data
