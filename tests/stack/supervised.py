"""A supervision plan and a supervisord that answers as it is told, for tests of who restarts."""

from __future__ import annotations

import json
import xmlrpc.client
from pathlib import Path
from typing import Any

from harness.model.supervision import Supervision
from harness.stack.supervision.plan import SupervisionPlan
from harness.stack.supervision.rpc import ProgramState, SupervisorSilent


def plan_for(folder: Path, supervisor: Any = "budget", *, port: int = 1, **options: Any) -> SupervisionPlan:
    return SupervisionPlan(
        run_id="run",
        seed="seed",
        folder=str(folder),
        socket=str(folder / "s"),
        supervisor=supervisor,
        options=Supervision(**options),
        replicas={"primary": port},
        others=("gateway",),
        commands={"primary": ("true",)},
    )


class Rpc:
    """Every program is in `now` until it is started."""

    def __init__(self, now: str = "EXITED", status: int | None = 70, *, silent: bool = False) -> None:
        self.now = now
        self.status = status
        self.silent = silent
        self.started: list[str] = []

    def state(self, name: str) -> ProgramState:
        if self.silent:
            raise SupervisorSilent("gone")
        running = name in self.started or self.now == "RUNNING"
        return ProgramState(name, "RUNNING" if running else self.now, 4121 if running else None, self.status)

    def call(self, method: str, name: str, wait: bool) -> None:
        assert (method, wait) == ("startProcess", False)
        if self.silent:
            raise SupervisorSilent("gone")
        if self.now == "RUNNING":
            raise xmlrpc.client.Fault(60, "ALREADY_STARTED")
        self.started.append(name)


def rows(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
