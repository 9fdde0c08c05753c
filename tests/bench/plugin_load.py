"""What every pytest session of a user's pays for the plugin: the time to import it, with pytest there already."""

from __future__ import annotations

import statistics
import subprocess
import sys

from tests.bench.figure import Figure, Goal, span

REPEATS = 15
LOAD = Goal("pytest_plugin_load_ms", "<=", 50, "ms")
GOALS = (LOAD,)
_CODE = (
    "import pytest, time; begin = time.perf_counter(); import harness.pytest_plugin; "
    "print((time.perf_counter() - begin) * 1000)"
)


def figures() -> list[Figure]:
    seen = [
        float(subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True).stdout)
        for _ in range(REPEATS)
    ]
    return [LOAD.figure(statistics.median(seen), span(seen))]
