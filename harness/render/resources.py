"""What the servers used, as cells of a table."""

from __future__ import annotations

from harness.model.verdict import Verdict
from harness.render.numbers import NOTHING, duration

__all__ = ["RESOURCE_COLUMNS", "resource_cells"]

RESOURCE_COLUMNS = (
    "server", "memory, baseline", "memory, most", "engine's memory, baseline", "engine's memory, most",
    "processors, mean", "descriptors, most", "in the engine, most",
    "waiting, most", "not seen for",
)  # fmt: skip


def resource_cells(verdict: Verdict) -> list[tuple[str, ...]]:
    """A row for each server; what it did not tell is a dash, never 0."""
    return [
        (
            one.source,
            _mib(one.resident_mb_baseline),
            _mib(one.resident_mb_max),
            _mib(one.engine_mb_baseline),
            _mib(one.engine_mb_max),
            NOTHING if one.cpu_cores_mean is None else f"{one.cpu_cores_mean:.2f}",
            _whole(one.open_fds_max),
            _whole(one.running_max),
            _whole(one.waiting_max),
            duration(one.unseen_s),
        )
        for one in verdict.resources
    ]


def _mib(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f} MiB"


def _whole(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"
