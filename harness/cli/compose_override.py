"""`harness init --compose`: not written yet."""

from __future__ import annotations

from pathlib import Path

from harness.model.errors import HarnessError

__all__ = ["write_override"]


def write_override(compose: Path, out: Path | None) -> int:
    """Write it."""
    raise HarnessError(f"{compose}: {out}")
