"""`pytest scenarios/`: each file is a test."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

GOOD = """name: good
phases: {baseline_s: 5, recovery_s: 5}
faults: [{kind: process.kill}]
observe: {recovery_s: {max: 5}}
"""
FILES = {
    "good": GOOD,
    "bad": GOOD.replace("name: good", "name: bad").replace("max: 5}", "max: 0.1}"),
    "unsure": GOOD.replace("name: good", "name: unsure").replace("kill}", "kill, on: standby}"),
}


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plugins = ["-p", "no:locust", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "--stack", "fake", *arguments]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environ)


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_fail_is_a_failure_and_an_inconclusive_run_is_an_error(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios", "--junit-xml", "junit.xml")
    assert "1 failed, 1 passed, 1 error" in done.stdout, done.stdout
    cases = {case.get("name"): case for case in ET.parse(scenarios.parent / "junit.xml").iter("testcase")}
    assert cases["bad"].find("failure") is not None
    assert cases["unsure"].find("error") is not None
    assert cases["good"].find("failure") is None
    assert "FAIL: episode 1: users had their service back after" in done.stdout
    assert "no request reached standby" in done.stdout
    assert "replay: harness run" in done.stdout
    assert "Traceback" not in done.stdout


def test_every_problem_of_a_file_is_shown_when_it_is_collected(scenarios: Path) -> None:
    (scenarios / "good.yaml").write_text("name: Good\nlod: {}\n")
    done = collect(scenarios.parent, "scenarios/good.yaml")
    assert "scenarios/good.yaml:1: name:" in done.stdout
    assert "scenarios/good.yaml:2: lod: unknown key (did you mean 'load'?)" in done.stdout


def test_yaml_files_elsewhere_are_left_alone(scenarios: Path) -> None:
    (scenarios.parent / "compose.yaml").write_text("services: {}\n")
    done = collect(scenarios.parent, "--collect-only", "-q")
    assert "compose" not in done.stdout
    assert "3 tests collected" in done.stdout


def test_soak_files_are_no_scenarios(scenarios: Path) -> None:
    (scenarios / "soak").mkdir()
    (scenarios / "soak" / "month.yaml").write_text("name: month\ndays: 30\n")
    done = collect(scenarios.parent, "scenarios", "--collect-only", "-q")
    assert done.returncode == 0 and "month" not in done.stdout, done.stdout
