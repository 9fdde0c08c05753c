"""A million requests and 50 episodes: how long, in how much memory, are they judged and reported, how large is the
report, and how long does a browser take to show it?"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure, Goal, span
from tests.render.browser import browser, chromium

REPEATS = 3
_ROOT = Path(__file__).parents[2]
_WRITE = "import sys; from pathlib import Path; from tests.bench.synthetic_run import write_run; "
_WRITE += "write_run(Path(sys.argv[1]), 1_000_000, 50, str(1))"
TIME = Goal("judging_s", "<=", 5, "s")
MEMORY = Goal("judging_resident_gb", "<=", 1, "GB")
SIZE = Goal("report_mb", "<=", 3, "MB")
OPEN = Goal("report_opens_s", "<=", 1, "s")
GOALS = (TIME, MEMORY, SIZE, OPEN)


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        subprocess.run([sys.executable, "-c", _WRITE, str(folder)], cwd=_ROOT, check=True)
        seen = [_judge(folder) for _ in range(REPEATS)]
        size_mb = (folder / "report.html").stat().st_size / 1e6
        opened = asyncio.run(_open(folder / "report.html"))
    seconds, resident = [one[0] for one in seen], [one[1] for one in seen]
    print(f"judging: {seconds} s, {resident} GB", file=sys.stderr)
    found = [TIME.figure(statistics.median(seconds), span(seconds)), MEMORY.figure(max(resident), span(resident))]
    found.append(SIZE.figure(size_mb))
    return [*found, OPEN.figure(statistics.median(opened), span(opened)) if opened else OPEN.not_measured()]


async def _open(report: Path) -> list[float]:
    """Seconds from the navigation's begin until the page is loaded and painted, each time in a fresh browser."""
    program = chromium()
    if program is None:
        return []
    seen = []
    for _ in range(REPEATS):
        async with browser(program) as page:
            await page.look(1280)
            await page.open(report)
            seen.append(await page.ask("performance.now() / 1000"))
    return seen


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
