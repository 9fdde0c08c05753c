"""What the supervisor's helpers are told, as a file beside their configuration. Pure but for reading and writing it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.model.supervision import Supervision, Supervisor

__all__ = ["SupervisionPlan"]


@dataclass(frozen=True)
class SupervisionPlan:
    """The scenario's supervisor is for the replicas. Gateway and proxy belong to the way there, and are always kept up
    by the budget, or a scenario about a poor supervisor would measure a missing proxy."""

    run_id: str
    seed: str
    folder: str  # of the target's logs
    socket: str  # supervisord's
    supervisor: Supervisor
    options: Supervision
    replicas: Mapping[str, int]  # name -> port
    others: tuple[str, ...]
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the replicas

    def restarted_by_budget(self, program: str) -> bool:
        """Whether the event listener restarts it; else supervisord, a script or nobody does."""
        return program in self.others or self.supervisor == "budget"

    def options_of(self, program: str) -> Supervision:
        """The scenario's for a replica, the defaults for the rest."""
        return self.options if program in self.replicas else Supervision()

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> SupervisionPlan:
        """What `write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        lists = {"others": tuple(data["others"]), "options": Supervision(**data["options"])}
        commands = {name: tuple(command) for name, command in data["commands"].items()}
        return SupervisionPlan(**{**data, **lists, "commands": commands})
