"""Which commit a figure is of, and of which day."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

from tests.bench.whole_run import ROOT

__all__ = ["stamp"]


def stamp() -> dict[str, str | None]:
    """`commit`: None outside a repository."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {"commit": done.stdout.strip() or None, "date": datetime.now(UTC).date().isoformat()}
