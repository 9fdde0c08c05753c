"""`pytest scenarios/`: each scenario file is a test. Fail is a failure, inconclusive is an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.model.errors import HarnessError, ScenarioError

if TYPE_CHECKING:
    from harness.model.verdict import Verdict

__all__ = ["ScenarioFailed", "ScenarioInconclusive"]


class ScenarioFailed(Exception):
    """The target broke an objective."""


class ScenarioInconclusive(Exception):
    """The run cannot say whether the target kept its objectives."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where scenarios run, with what model and seed, and where their reports go."""
    group = parser.getgroup("harness", "reliability scenarios")
    group.addoption(
        "--stack", default="local", help="where the target of scenarios runs: local or fake (default: local)"
    )
    group.addoption(
        "--model", default=os.environ.get("HARNESS_MODEL", ".model"), help="the model's folder (default: .model)"
    )
    group.addoption("--seed", default=None, help="seed of the scenarios' plans (default: a fresh one, printed)")
    group.addoption("--reports", default="reports", help="where the runs' folders are made (default: reports)")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """YAML files that are named on the command line or lie in a folder called scenarios."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    named = "scenarios" in file_path.parts and not {"examples", "soak"} & set(file_path.parts)
    if named or parent.session.isinitpath(file_path):
        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Raises a collection error that shows every problem of the file."""
        from harness.plan.parse import parse_scenario

        try:
            shown = os.path.relpath(self.path, self.config.invocation_params.dir)
            scenario = parse_scenario(self.path.read_text(encoding="utf-8"), shown)
        except ScenarioError as error:
            raise pytest.Collector.CollectError(str(error)) from error
        yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class ScenarioItem(pytest.Item):
    """One run. It happens in the set-up phase, so that an inconclusive one is an error, not a failure."""

    def __init__(self, *, scenario: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.verdict: Verdict | None = None
        self.folder: Path | None = None

    def setup(self) -> None:
        from harness.cli.unattended import run_unattended

        options = self.config.option
        self.folder, self.verdict = run_unattended(
            self.scenario, (options.stack, Path(options.model)), options.seed, Path(options.reports)
        )
        self.user_properties += [("seed", self.verdict.seed), ("report", str(self.folder / "report.html"))]
        self.add_report_section(
            "setup", "verdict", f"{self.verdict.outcome}: {self.verdict.reason}\n{self.folder}/report.html"
        )
        if self.verdict.outcome == "inconclusive":
            raise ScenarioInconclusive(self._sentence())

    def runtest(self) -> None:
        assert self.verdict is not None
        if self.verdict.outcome == "fail":
            raise ScenarioFailed(self._sentence())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A sentence for what a user can cause, a traceback for our own defects."""
        if isinstance(excinfo.value, HarnessError | ScenarioFailed | ScenarioInconclusive):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"scenario {self.name}"

    def _sentence(self) -> str:
        assert self.verdict is not None and self.folder is not None
        verdict = f"{self.verdict.outcome.upper()}: {self.verdict.reason}"
        return f"{verdict}\nreplay: {self.verdict.run['replay']}\nreport: {self.folder}/report.html"
