"""False alarms: runs without any fault, of each folder's first scenario, alone and with both processors busy otherwise.

A run that nothing was done to must not fail. With `stress-ng` beside it, it may say that it cannot tell.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.bench.figure import Figure, Goal
from tests.bench.whole_run import ROOT, Ran, run_once, runs, short

RUNS = 20
RUNS_STRESSED = 3
BASELINE_S = 10
STRESS = "stress-ng"
GOALS = (Goal("fault_free_fails", "<=", 0, "runs"), Goal("stressed_fails", "<=", 0, "runs"))


def figures() -> list[Figure]:
    alone = _all(runs(RUNS), "fault_free")
    found = [GOALS[0].figure(_fails(alone), f"{_words(alone)}{short(RUNS)}")]
    if shutil.which(STRESS) is None:
        print(f"fault_free: {STRESS} is not installed (Debian: apt-get install {STRESS})", file=sys.stderr)
        return [*found, GOALS[1].not_measured()]
    with busy_processors():
        stressed = _all(runs(RUNS_STRESSED), "stressed")
    return [*found, GOALS[1].figure(_fails(stressed), f"{_words(stressed)}{short(RUNS_STRESSED)}")]


def base_scenarios() -> dict[str, dict[str, Any]]:
    """Folder -> its first scenario with a control pair, hardened and without its faults, as a file's content."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "scenarios").glob("*/*.yaml")):
        body = yaml.safe_load(path.read_text())
        paired = isinstance(body.get("expect"), dict) and "hardened" in body["expect"]
        if paired and path.parent.name not in found and not body.get("target", {}).get("balancer"):
            found[path.parent.name] = fault_free(body)
    return found


def fault_free(body: dict[str, Any]) -> dict[str, Any]:
    """The same users on the same target, and what they may expect of it when nothing is broken."""
    half = body["expect"]["hardened"]
    own = half.get("target") if isinstance(half, dict) else None
    target = {**(own or body.get("target", {})), "protection": "hardened"}
    return {
        "name": f"fault-free-{body['name']}",
        "target": target,
        "load": body["load"],
        "phases": {"baseline_s": BASELINE_S},
        "observe": {"success_rate": {"min": 0.99}, "latency_mean_s": {"max": 1}},
    }


@contextmanager
def busy_processors() -> Iterator[None]:
    """All processors compute something else."""
    stress = subprocess.Popen([STRESS, "--cpu", "0", "--timeout", "2h", "--quiet"], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        stress.terminate()
        stress.wait()


def _all(count: int, what: str) -> list[Ran]:
    found: list[Ran] = []
    for folder, body in base_scenarios().items():
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / f"{body['name']}.yaml"
            file.write_text(yaml.safe_dump(body))
            mine = [run_once(file, str(seed)) for seed in range(count)]
        print(f"{what}: {folder}: {dict(Counter(one.outcome for one in mine))}", file=sys.stderr)
        for one in mine:
            if one.outcome != "pass":
                print(f"{what}: {folder}: {one.outcome}: {one.reason}", file=sys.stderr)
        found += mine
    return found


def _words(ran: list[Ran]) -> str:
    by_outcome = Counter(one.outcome for one in ran)
    return f"{len(ran)} runs: {', '.join(f'{n} {outcome}' for outcome, n in sorted(by_outcome.items()))}"


def _fails(ran: list[Ran]) -> int:
    return sum(one.outcome == "fail" for one in ran)
