"""The examples for users are true: their options exist, their paths are there. The Python tests are run elsewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / "scenarios" / "examples" / "ci").glob("*.yml"))


def steps_of(workflow: Path) -> list[dict[str, str]]:
    (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
    assert job["timeout-minutes"] <= 180
    return list(job["steps"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_keeps_its_reports_and_shows_a_summary_whatever_happened(workflow: Path) -> None:
    always = [step for step in steps_of(workflow) if step.get("if") == "always()"]
    assert any("GITHUB_STEP_SUMMARY" in step.get("run", "") for step in always)
    assert any("upload-artifact" in step.get("uses", "") for step in always)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_each_option_of_a_workflow_is_one_that_there_is(workflow: Path) -> None:
    asked = [
        shlex.split(step["run"]) for step in steps_of(workflow) if step.get("run", "").startswith(("pytest", "harness"))
    ]
    assert len(asked) == 1
    for words in asked:
        module = "pytest" if words[0] == "pytest" else "harness.cli"
        verb = words[1:2] if module == "harness.cli" else ["-p", "no:locust"]
        done = subprocess.run(
            [sys.executable, "-m", module, *verb, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        known = set(re.findall(r"--[a-z-]+", done.stdout)) | {"--junit-xml"}
        assert {word for word in words if word.startswith("--")} <= known
        assert (ROOT / words[words.index("scenarios/" if module == "pytest" else "scenarios")]).is_dir()
