"""The fast scenarios, both halves, as a pull request runs them: how long they take, and how much of it is experiment.

`pytest scenarios/ -m fast --harness-pairs` on the local stack, as a user starts it. A scenario's wall time is that of
its test, the start of its stack included; what its plan calls baseline, fault and recovery is the experiment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.bench.figure import Figure, Goal, span
from tests.bench.whole_run import ROOT

WALL = Goal("fast_subset_s", "<=", 480, "s")
SCENARIOS = Goal("fast_subset_scenarios", ">=", 15)
AS_DECLARED = Goal("fast_subset_halves_as_declared", ">=", 1)
BESIDE = Goal("wall_beside_experiment", "<=", 0.25)
GOALS = (WALL, SCENARIOS, AS_DECLARED, BESIDE)
LONGEST_S = 1800


def figures() -> list[Figure]:
    model = os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model"
    with tempfile.TemporaryDirectory() as name:
        out, results = Path(name) / "reports", Path(name) / "junit.xml"
        options = ["-m", "fast", "--harness-pairs", "--harness-seed", "1", "--harness-model", str(model)]
        command = [sys.executable, "-m", "pytest", "scenarios", "-q", "-p", "no:locust", "-p", "no:cacheprovider"]
        subprocess.run(
            [*command, *options, "--harness-out", str(out), "--junit-xml", str(results)],
            cwd=ROOT, env={**os.environ, "XDG_STATE_HOME": name}, stdout=subprocess.DEVNULL, timeout=LONGEST_S,
            check=False,
        )  # fmt: skip
        (suite,) = ET.parse(results).getroot().iter("testsuite")
        cases = list(suite.iter("testcase"))
        planned_s = [json.loads(path.read_text())["duration_s"] for path in out.glob("*/plan.json")]
        kept = sum("runs_before" in json.loads(path.read_text())["run"] for path in out.glob("*/verdict.json"))
    ran = [case for case in cases if case.find("skipped") is None]
    bad = [case for case in ran if case.find("failure") is not None or case.find("error") is not None]
    for case in bad:
        print(f"fast_subset: {case.get('name')} did not do what its file declares: {_why(case)}", file=sys.stderr)
    wall_s = [float(case.get("time", 0)) for case in ran]
    names = {str(case.get("name")).partition("[")[0] for case in ran}
    return [
        WALL.figure(float(suite.get("time", 0)), f"{len(ran)} runs, {kept} of them on a stack that had served another"),
        SCENARIOS.figure(len(names)),
        AS_DECLARED.figure(1 - len(bad) / len(ran), f"{len(ran) - len(bad)} of {len(ran)}"),
        BESIDE.figure(1 - sum(planned_s) / sum(wall_s), f"a run took {span(wall_s)}"),
    ]


def _why(case: ET.Element) -> str:
    """The verdict's sentence, from the failure or error of a test."""
    said = [one.text or "" for kind in ("failure", "error") for one in case.iter(kind)]
    lines = [line for text in said for line in text.splitlines() if line.startswith(("FAIL: ", "INCONCLUSIVE: "))]
    return (lines or said or ["no reason given"])[0][:300]
