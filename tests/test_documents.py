"""The documents are true: their commands run, their paths exist, their targets are there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.cli.scenarios import load_scenarios
from harness.model.expectation import known_outcome
from harness.plan.parse import parse_scenario
from harness.plan.target_options import option_problems
from harness.stack.reference.option_names import OPTIONS
from harness.stack.reference.settings import REPLICAS

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "DECISIONS.md")


def commands(document: str) -> list[str]:
    """Lines after a prompt, without their comments."""
    lines = re.findall(r"^\$ (.+)$", (ROOT / document).read_text(), re.MULTILINE)
    return [line.split("   #")[0].split(" #")[0].strip() for line in lines]


ALL = [(document, command) for document in DOCUMENTS for command in commands(document)]


@pytest.mark.parametrize(("document", "command"), [c for c in ALL if c[1].startswith("harness")])
def test_each_harness_command_of_the_documents_runs(
    document: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    words = shlex.split(command)[1:]
    if words[0] in ("run", "plan") and "--stack" not in words:
        words += ["--stack", "fake"]
    # On real containers it is run by tests/e2e/test_compose.py.
    words = ["fake" if word == "compose" else word for word in words]
    if words[0] in ("explain", "watch", "index", "compare", "export", "prune"):
        assert call(["run", "scenarios/death-and-supervision/kill-primary.yaml", "--stack", "fake"]) == 0
        (only,) = (tmp_path / "reports").iterdir()
        words = [str(only) if word in ("reports/RUN", "reports/A", "reports/B") else word for word in words]
    if words[:2] == ["soak", "nightly"]:
        words += ["--stack", "fake", "--budget", "8m"]  # as short a night has too few trials to conclude anything
        assert call(words) == 3
        return
    assert call(words) in ((0, 2) if words[0] == "doctor" else (0,))


@pytest.mark.parametrize(("document", "command"), [c for c in ALL if c[1].startswith("pytest")])
def test_each_pytest_command_of_the_documents_finds_a_test_for_each_file(document: str, command: str) -> None:
    asked = [*shlex.split(command), "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    found = {line.rpartition("::")[2] for line in done.stdout.splitlines() if ".yaml::" in line}
    assert found == {one.name for one in load_scenarios([ROOT / "scenarios"])}, done.stdout + done.stderr


def test_the_readme_counts_the_files_that_are_red_by_design() -> None:
    files = load_scenarios([ROOT / "scenarios"])
    red = [one for one in files if known_outcome(one.expect) == "fail"]
    assert f"{len(red)} of the {len(files)} shipped files say `as_written: fail`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("document", "command"), [c for c in ALL if c[1].startswith("make")])
def test_each_make_target_of_the_documents_exists(document: str, command: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert command.split()[1] in targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_of_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    named = {path for path in re.findall(r"`([\w.]+(?:/[\w.{},-]+)+/?)`", text) if "{" not in path}
    named |= {path for path in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in path}
    missing = [
        path
        for path in named
        if not (ROOT / path).exists()
        and path.split("/")[0] in ("harness", "tests", "scenarios", "reports", "target_service", "compose", "docs")
    ]
    assert missing == []


def test_the_scenarios_in_the_readme_are_right() -> None:
    whole, part, target = re.findall(r"```yaml\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert parse_scenario(whole, "README.md").hypothesis.startswith("If the primary dies")
    assert len(parse_scenario("name: part\n" + part, "README.md").faults) == 3
    switched = parse_scenario("name: part\n" + target, "README.md")
    assert not list(option_problems(switched, REPLICAS, OPTIONS, {}))
    assert switched.target.secret_options == ("gateway.api_keys", "each.standby.register")
