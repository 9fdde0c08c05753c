"""The examples for users are true: their options exist, their paths are there. The Python tests are run elsewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / "scenarios" / "examples" / "ci").glob("*.yml"))
MODULES = Path(sys.prefix) / "node" / "node_modules"
LINTED = pytest.mark.skipif(
    shutil.which("actionlint") is None and shutil.which("node") is None,
    reason="neither actionlint nor node is installed",
)


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


def actionlint(*workflows: Path) -> subprocess.CompletedProcess[str]:
    """The program where there is one, otherwise the same linter as WebAssembly; neither asks other linters."""
    program = shutil.which("actionlint")
    command = [str(program), "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]
    if program is None:
        assert (MODULES / "@tktco" / "node-actionlint").exists(), "run `make test`, which installs actionlint with npm"
        command = ["node", str(Path(__file__).with_name("actionlint.js"))]
    return subprocess.run(
        [*command, *map(str, workflows)],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@LINTED
def test_actionlint_finds_nothing_in_the_workflows() -> None:
    assert WORKFLOWS
    done = actionlint(*WORKFLOWS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


BROKEN = {
    "a key": ("timeout-minutes:", "timeout-minute:", 'unexpected key "timeout-minute"'),
    "a job": ("    steps:", "    needs: [nope]\n    steps:", 'needs job "nope" which does not exist'),
    "an expression": ("run: pip", "run: ${{ githb.sha }} pip", 'undefined variable "githb"'),
    "an input": ("name: reports", "nam: reports", 'input "nam" is not defined'),
    "the syntax": ("permissions:", "permissions: [", "could not parse as YAML"),
}


@LINTED
def test_actionlint_refuses_each_broken_copy_and_only_these(tmp_path: Path) -> None:
    right = ROOT / "scenarios" / "examples" / "ci" / "pull-request.yml"
    for name, (old, new, _) in BROKEN.items():
        assert old in right.read_text()
        (tmp_path / f"{name}.yml").write_text(right.read_text().replace(old, new, 1))
    done = actionlint(right, *(tmp_path / f"{name}.yml" for name in BROKEN))
    assert done.returncode == 1, done.stderr
    assert str(right) not in done.stdout
    for name, (_, _, finding) in BROKEN.items():
        assert any(f"{name}.yml:" in line and finding in line for line in done.stdout.splitlines()), done.stdout
