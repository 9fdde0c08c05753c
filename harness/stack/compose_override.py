"""Writes what a run adds to compose/compose.yaml into the run's folder, with the files that it mounts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.model.capability import Capability
from harness.stack.base import RunContext
from harness.stack.compose_project import OVERRIDE, Owner, override
from harness.stack.container_clock import clock_file, with_clock, write_offset
from harness.stack.local_settings import Ports
from harness.stack.owned import identify

__all__ = ["write_override"]


def write_override(run: RunContext, ports: Ports, models: Mapping[str, Path]) -> Path:
    """The override file. Only a replica whose faults need it gets a clock of its own."""
    folder = run.folder / "stack"
    me = identify(os.getpid())
    made = override(run, Owner(os.getpid(), me.started if me else 0), ports, models)
    for name in ports.replicas:
        if Capability.CLOCK in run.needs.get(name, ()):
            write_offset(clock_file(folder, name), 0.0)
            made["services"][name] = with_clock(made["services"][name], folder, name)
    file = folder / OVERRIDE
    file.write_text(json.dumps(made, indent=1), encoding="utf-8")
    return file
