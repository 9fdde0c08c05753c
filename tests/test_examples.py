"""The examples for users are true: their options exist, their paths are there. The Python tests are run elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.scenarios import load_scenarios, within_reach
from harness.model.expectation import HALVES
from harness.plan.halves import has_pair
from harness.stack.compose.stack import ComposeStack
from harness.stack.local.stack import LocalStack

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / "scenarios" / "examples" / "ci").glob("*.yml"))
NIGHTLY, PULL_REQUEST, YOUR_SERVICE = WORKFLOWS
MODULES = Path(sys.prefix) / "node" / "node_modules"
LINTED = pytest.mark.skipif(
    shutil.which("actionlint") is None and shutil.which("node") is None,
    reason="neither actionlint nor node is installed",
)


def jobs_of(workflow: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
    return jobs


JOBS = [pytest.param(file, name, id=f"{file.name}:{name}") for file in WORKFLOWS for name in jobs_of(file)]


def commands_of(workflow: Path, job: str) -> list[list[str]]:
    """The words of each command that a job runs, `sudo` included."""
    runs = [step["run"] for step in jobs_of(workflow)[job]["steps"] if "run" in step]
    return [shlex.split(line) for run in runs for line in run.splitlines()]


def without_sudo(words: list[str]) -> list[str]:
    rest = words[1:] if words[0] == "sudo" else words
    return [Path(rest[0]).name, *rest[1:]]


def options_of(module: str, verb: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *verb, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(re.findall(r"--[a-z-]+", done.stdout))


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_has_an_end_keeps_its_reports_and_shows_a_summary_whatever_happened(workflow: Path, job: str) -> None:
    assert jobs_of(workflow)[job]["timeout-minutes"] <= 180
    always = [step for step in jobs_of(workflow)[job]["steps"] if step.get("if") == "always()"]
    assert any("GITHUB_STEP_SUMMARY" in step.get("run", "") for step in always)
    assert any("upload-artifact" in step.get("uses", "") for step in always)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_the_reports_of_two_jobs_do_not_share_a_name(workflow: Path) -> None:
    steps = [step for job in jobs_of(workflow).values() for step in job["steps"]]
    names = [step["with"]["name"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert len(names) == len(set(names)) == len(jobs_of(workflow))


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_each_command_of_a_workflow_is_one_that_there_is(workflow: Path, job: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [without_sudo(words) for words in commands_of(workflow, job)]
    assert sum(words[0] == "pytest" or words[:2] == ["harness", "run"] for words in commands) == 1
    for program, *words in commands:
        if program in ("pytest", "harness"):
            module = "pytest" if program == "pytest" else "harness.cli"
            known = options_of(module, ["-p", "no:locust"] if program == "pytest" else words[:1]) | {"--junit-xml"}
            assert {word for word in words if word.startswith("--")} <= known
            assert [word for word in words if word.startswith("scenarios")] or words == ["doctor"]
        elif program == "make":
            assert set(words) <= targets
        elif program == "python":
            assert words[0] == "-m" and importlib.util.find_spec(words[1]) is not None
        elif program == "pip":
            assert (ROOT / words[words.index("-c") + 1].removeprefix(".harness/")).is_file()
        else:
            assert program in ("cat", "chown", "docker")


def test_the_night_leaves_no_scenario_out_of_both_of_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = ROOT / "scenarios"
    scenarios = load_scenarios([catalogue])
    ran: dict[str, set[str]] = {}
    for job in jobs_of(NIGHTLY):
        (words,) = (words for words in commands_of(NIGHTLY, job) if "run" in words)
        monkeypatch.setattr(os, "geteuid", lambda words=words: 0 if words[0] == "sudo" else 1001)
        stack = {"local": LocalStack, "compose": ComposeStack}[words[words.index("--stack") + 1]](Path("model"))
        kept, left_out = within_reach(scenarios, [catalogue], stack, HALVES)
        assert "--pairs" in words and left_out, "what a job leaves out its comment says"
        ran[job] = {one.name for one in kept if has_pair(one)}
    assert set().union(*ran.values()) == {one.name for one in scenarios}


def pytest_of_your_service(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Its command, in a repository that is not this one."""
    (job,) = jobs_of(YOUR_SERVICE).values()
    (words,) = (words for words in commands_of(YOUR_SERVICE, "scenarios") if words[0] == "pytest")
    return subprocess.run(
        [sys.executable, "-m", *words, "-p", "no:cacheprovider", *more],
        env={**os.environ, "HARNESS_YES": job["env"]["HARNESS_YES"]},
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_workflow_for_your_service_runs_the_scenarios_that_name_one_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    mine, theirs = tmp_path / "scenarios" / "mine.yaml", tmp_path / "scenarios" / "theirs.yaml"
    shutil.copy(ROOT / "scenarios" / "examples" / "own-service" / "scenario.yaml", mine)
    shutil.copy(ROOT / "scenarios" / "death-and-supervision" / "kill-primary.yaml", theirs)
    done = pytest_of_your_service(tmp_path, "--collect-only", "-q")
    assert "2 tests collected" in done.stdout, done.stdout
    mine.unlink()
    done = pytest_of_your_service(tmp_path)
    assert "1 error" in done.stdout and "the external stack needs the target's address" in done.stdout, done.stdout
    assert not (tmp_path / "reports").exists()


def test_the_workflow_for_your_service_installs_the_harness_alone_from_where_it_was_checked_out() -> None:
    (install,) = (words for words in commands_of(YOUR_SERVICE, "scenarios") if words[0] == "pip")
    (job,) = jobs_of(YOUR_SERVICE).values()
    (checkout,) = (step["with"] for step in job["steps"] if "repository" in step.get("with", {}))
    assert install[:4] == ["pip", "install", f"./{checkout['path']}", "pytest"]
    (first,) = re.findall(r"harness (init .+)$", YOUR_SERVICE.read_text(), re.MULTILINE)
    assert set(re.findall(r"--[a-z-]+", first)) <= options_of("harness.cli", ["init"])


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
    right = PULL_REQUEST.read_text()
    for name, (old, new, _) in BROKEN.items():
        assert old in right
        (tmp_path / f"{name}.yml").write_text(right.replace(old, new, 1))
    done = actionlint(PULL_REQUEST, *(tmp_path / f"{name}.yml" for name in BROKEN))
    assert done.returncode == 1, done.stderr
    assert str(PULL_REQUEST) not in done.stdout
    for name, (_, _, finding) in BROKEN.items():
        assert any(f"{name}.yml:" in line and finding in line for line in done.stdout.splitlines()), done.stdout
