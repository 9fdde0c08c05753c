"""Which replicas of a run get a wall clock of their own: those whose faults need one, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model.capability import Capability
from harness.stack.base import RunContext
from harness.stack.containers.clock import clock_file, with_clock, write_offset

__all__ = ["with_clocks"]


def with_clocks(parts: Mapping[str, Any], run: RunContext) -> dict[str, Any]:
    """The override file with such clocks; writes the file from which each is read."""
    folder = run.folder / "stack"
    services = dict(parts["services"])
    for name in [one for one in services if Capability.CLOCK in run.needs.get(one, ())]:
        write_offset(clock_file(folder, name), 0.0)
        services[name] = with_clock(services[name], folder, name)
    return {**parts, "services": services}
