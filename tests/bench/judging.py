"""How long, and in how much memory, does a fresh process judge a million requests and write the reports?"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure, Goal, span

REPEATS = 3
_ROOT = Path(__file__).parents[2]
_WRITE = "import sys; from pathlib import Path; from tests.bench.synthetic_run import write_run; "
_WRITE += "write_run(Path(sys.argv[1]), 1_000_000, 50, str(1))"
TIME = Goal("judging_s", "<=", 5, "s")
MEMORY = Goal("judging_resident_gb", "<=", 1, "GB")
GOALS = (TIME, MEMORY)


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        subprocess.run([sys.executable, "-c", _WRITE, str(folder)], cwd=_ROOT, check=True)
        seen = [_judge(folder) for _ in range(REPEATS)]
    seconds, resident = [one[0] for one in seen], [one[1] for one in seen]
    print(f"judging: {seconds} s, {resident} GB", file=sys.stderr)
    return [TIME.figure(statistics.median(seconds), span(seconds)), MEMORY.figure(max(resident), span(resident))]


def _judge(folder: Path) -> tuple[float, float]:
    """Wall time in seconds and largest resident size in GB of `harness judge`."""
    report = folder / "report.html"
    report.unlink(missing_ok=True)
    with tempfile.TemporaryFile() as said:
        begin_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "judge", str(folder)], cwd=_ROOT, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - begin_s
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode()
    if not report.exists():
        raise RuntimeError(f"no report was written, exit code {process.returncode}: {words[-500:]}")
    return wall_s, usage.ru_maxrss * 1024 / 1e9
