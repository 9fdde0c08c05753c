"""All types of toxic, by name."""

from __future__ import annotations

from harness.toxics.kinds import (
    bandwidth,
    blackhole,
    corrupt,
    http_status,
    latency,
    limit_data,
    noop,
    reset_peer,
    slicer,
    slow_close,
    sse_stall,
    sse_truncate,
    timeout,
)
from harness.toxics.toxic import Kind

__all__ = ["KINDS"]

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        noop,
        latency,
        bandwidth,
        slow_close,
        timeout,
        reset_peer,
        slicer,
        limit_data,
        sse_truncate,
        sse_stall,
        corrupt,
        blackhole,
        http_status,
    )
}
