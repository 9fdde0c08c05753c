"""The pytest plugin: scenario files as tests, and fixtures for experiments that are written in Python.

Every session of a user's own loads this file, so it imports nothing but pytest: the rest waits for the first scenario.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.model.verdict import Verdict
    from harness.testing.experiment import TestExperiment

__all__ = ["inject", "load", "stack", "verdict"]

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--harness-stack", {"default": "local", "help": "where targets run: local, compose or fake (default: local)"}),
    ("--harness-seed", {"default": None, "help": "seed of all plans (default: a fresh one, printed)"}),
    ("--harness-out", {"default": "reports", "help": "where the runs' folders are made (default: reports)"}),
    (
        "--harness-model",
        {"default": os.environ.get("HARNESS_MODEL", ".model"), "help": "the model's folder (default: .model)"},
    ),
    (
        "--harness-pairs",
        {
            "action": "store_true",
            "help": "run each scenario on a fragile and on a hardened target, as two tests that pass "
            "when what its file says under 'expect' comes out",
        },
    ),
    (
        "--harness-fresh",
        {
            "action": "store_true",
            "help": "a new stack for every scenario; otherwise one is kept up for those on equal targets, as long as "
            "each leaves it as it came up",
        },
    ),
)
_MARKS = (
    "fast: scenarios whose schedule takes at most 13 s",
    "slow: scenarios that take longer",
    "fragile: halves of control pairs without protections",
    "hardened: halves of control pairs with every protection",
    *(f"{stack}: scenarios on this stack" for stack in ("local", "compose", "fake")),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """All names begin with --harness-, so that they are nobody else's."""
    group = parser.getgroup("harness", "reliability scenarios")
    for name, how in _OPTIONS:
        try:
            group.addoption(name, **how)
        except ValueError as error:
            raise pytest.UsageError(
                f"the option {name} of reliability-harness is another plugin's, too ({error}); leave one of them out "
                "with '-p no:NAME' (ours is 'harness')"
            ) from error


def pytest_configure(config: pytest.Config) -> None:
    """Marks that every session knows; those of folders come with their scenarios."""
    for line in _MARKS:
        config.addinivalue_line("markers", line)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """YAML files that are named on the command line or lie in a folder called scenarios."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    named = "scenarios" in file_path.parts and not {"examples", "soak"} & set(file_path.parts)
    if named or parent.session.isinitpath(file_path):
        from harness.testing.items import ScenarioFile

        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios on equal targets follow one another; everything else stays where it was."""
    if "harness.testing.items" in sys.modules:
        from harness.testing.items import by_target

        by_target(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No stack is kept beyond it."""
    if "harness.testing.running" in sys.modules:
        from harness.testing.running import end_kept_stack

        for problem in end_kept_stack(session.config):
            print(f"not cleaned up yet: {problem}", file=sys.stderr)  # noqa: T201  the reporter is not there any more


@pytest.fixture
def _experiment(request: pytest.FixtureRequest) -> TestExperiment:
    """One experiment a test."""
    from harness.testing.experiment import TestExperiment

    return TestExperiment(request.node, request.config)


@pytest.fixture
def stack(_experiment: TestExperiment) -> Callable[..., None]:
    """How the target is set up, as in stack(protection="hardened")."""
    return _experiment.stack


@pytest.fixture
def load(_experiment: TestExperiment) -> Callable[..., None]:
    """How users behave, as in load(rate_per_s=20, mix={"chat": 1})."""
    return _experiment.load


@pytest.fixture
def inject(_experiment: TestExperiment) -> Callable[..., None]:
    """What breaks, as in inject("service.hang", on="primary", for_s=5)."""
    return _experiment.inject


@pytest.fixture
def verdict(_experiment: TestExperiment) -> Callable[..., Verdict]:
    """Run it and judge it, as in verdict(recovery_s={"max": 5}).outcome."""
    return _experiment.verdict
