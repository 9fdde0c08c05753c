"""Pass everything on."""

from __future__ import annotations

from harness.toxics.stage import Stage
from harness.toxics.toxic import Kind

__all__ = ["KIND"]

KIND = Kind("noop", Stage, {})
