"""Scenario files run as tests, both halves, as a user starts them: what came of each, and how long it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.whole_run import ROOT

__all__ = ["Halves", "run_halves"]


@dataclass(frozen=True)
class Halves:
    """`wall_s`: of the session. `took_s`: test -> seconds, its stack's start included. `bad`: test -> why it failed."""

    wall_s: float
    took_s: Mapping[str, float]
    bad: Mapping[str, str]
    planned_s: float  # baseline, fault and recovery of all together
    on_kept: int  # runs on a stack that had served another

    @property
    def scenarios(self) -> set[str]:
        """Their names."""
        return {name.partition("[")[0] for name in self.took_s}

    @property
    def pairs(self) -> dict[str, bool]:
        """Scenario -> whether each of its halves did what its file declares; only those of which both ran."""
        ran = {name: {f"{name}[{half}]" for half in ("fragile", "hardened")} for name in self.scenarios}
        return {name: not halves & self.bad.keys() for name, halves in ran.items() if halves <= self.took_s.keys()}

    @property
    def as_declared(self) -> float:
        """The share of halves that did what their file declares."""
        return 1 - len(self.bad) / len(self.took_s)


def run_halves(options: Sequence[str], longest_s: float, paths: Sequence[str] = ("scenarios",)) -> Halves:
    """`pytest scenarios --harness-pairs` with these options; its progress goes to stderr, and each half that failed."""
    model = os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model"
    with tempfile.TemporaryDirectory() as name:
        out, results = Path(name) / "reports", Path(name) / "junit.xml"
        command = [sys.executable, "-m", "pytest", *paths, "-v", "-p", "no:locust", "-p", "no:cacheprovider"]
        pairs = ["--harness-pairs", "--harness-seed", "1", "--harness-model", str(model), "--tb", "no"]
        subprocess.run(
            [*command, *pairs, *options, "--harness-out", str(out), "--junit-xml", str(results)],
            cwd=ROOT, env={**os.environ, "XDG_STATE_HOME": name}, stdout=sys.stderr, timeout=longest_s, check=False,
        )  # fmt: skip
        (suite,) = ET.parse(results).getroot().iter("testsuite")
        cases = list(suite.iter("testcase"))
        planned_s = [json.loads(path.read_text())["duration_s"] for path in out.glob("*/plan.json")]
        kept = sum("runs_before" in json.loads(path.read_text())["run"] for path in out.glob("*/verdict.json"))
    ran = [case for case in cases if case.find("skipped") is None]
    bad = {
        str(case.get("name")): _why(case)
        for case in ran
        if case.find("failure") is not None or case.find("error") is not None
    }
    for half, why in bad.items():
        print(f"{half} did not do what its file declares: {why}", file=sys.stderr)
    took_s = {str(case.get("name")): float(case.get("time", 0)) for case in ran}
    return Halves(float(suite.get("time", 0)), took_s, bad, sum(planned_s), kept)


def _why(case: ET.Element) -> str:
    """The verdict's sentence, from the failure or error of a test."""
    said = [one.text or one.get("message") or "" for kind in ("failure", "error") for one in case.iter(kind)]
    lines = [line for text in said for line in text.splitlines() if line.startswith(("FAIL: ", "INCONCLUSIVE: "))]
    return (lines or said or ["no reason given"])[0][:300]
