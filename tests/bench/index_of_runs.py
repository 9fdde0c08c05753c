"""How long does `harness index` take for 2,000 runs?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure, Goal, span
from tests.bench.synthetic_archive import write_archive

RUNS, REPEATS = 2000, 3
_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "reports" / "example" / "verdict.json"
TIME = Goal("index_of_2000_runs_s", "<=", 5, "s")
GOALS = (TIME,)


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_archive(root, _EXAMPLE, RUNS)
        seen = [_index(root) for _ in range(REPEATS)]
    return [TIME.figure(sorted(seen)[REPEATS // 2], span(seen))]


def _index(root: Path) -> float:
    """Wall time in seconds of the whole command, the interpreter's start included."""
    (root / "index.html").unlink(missing_ok=True)
    begin_s = time.monotonic()
    command = [sys.executable, "-m", "harness.cli", "index", str(root)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    wall_s = time.monotonic() - begin_s
    if f"{RUNS:,} runs:" not in done.stdout or not (root / "index.html").exists():
        raise RuntimeError(f"not every run is in the index: {done.stdout[:300]}")
    return wall_s
