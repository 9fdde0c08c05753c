"""A wall clock of its own for a container: libfaketime, loaded before all else, reads how far ahead it is from a file.

The file lies in the run's folder and is mounted read-only. Only the wall clock is moved, as when somebody sets it; what
counts on the monotonic one, such as time-outs, does not notice. A run whose scenario has no such fault loads nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["FAKETIME", "clock_file", "with_clock", "write_offset"]

FAKETIME = "/usr/local/lib/libfaketime.so.1"  # in the target's image: see compose/Dockerfile
INSIDE = "/clock"
ENVIRONMENT = {
    "LD_PRELOAD": FAKETIME,
    "FAKETIME_TIMESTAMP_FILE": f"{INSIDE}/offset",
    "FAKETIME_CACHE_DURATION": "1",  # seconds after which the file is read again; asked thousands of times a second
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_DONT_RESET": "1",
}


def clock_file(stack_folder: Path, replica: str) -> Path:
    """Where a replica's offset lies in the run's folder."""
    return stack_folder / f"clock-{replica}" / "offset"


def write_offset(path: Path, offset_s: float) -> None:
    """Whole or not at all, since it is read at any time. Makes its folder."""
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    part = path.with_name(".offset.part")
    part.write_text(f"{offset_s:+g}\n" if abs(offset_s) < 1e6 else f"{offset_s:+.0f}\n", encoding="utf-8")
    part.chmod(0o644)  # for the user in the container
    os.replace(part, path)


def with_clock(service: Mapping[str, Any], stack_folder: Path, replica: str) -> dict[str, Any]:
    """A replica's part of the override file with a clock of its own. Pure."""
    folder = clock_file(stack_folder, replica).parent
    mount = {"type": "bind", "source": str(folder), "target": INSIDE, "read_only": True}
    environment = {**service.get("environment", {}), **ENVIRONMENT}
    return {**service, "environment": environment, "volumes": [*service.get("volumes", ()), mount]}
