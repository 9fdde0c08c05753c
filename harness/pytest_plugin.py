"""The pytest plugin: scenario files as tests, and fixtures for experiments that are written in Python.

Every session of a user's own loads this file, so it imports nothing but pytest: the rest waits for the first scenario.
"""

from __future__ import annotations

import argparse
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
    (
        "--harness-stack",
        {
            "default": None,
            "help": "where targets run: local, compose, external or fake (default: external for a scenario that names "
            "external.url, otherwise local)",
        },
    ),
    ("--harness-seed", {"default": None, "help": "seed of all plans (default: a fresh one, printed)"}),
    ("--harness-out", {"default": "reports", "help": "where the runs' folders are made (default: reports)"}),
    (
        "--harness-model",
        {"default": os.environ.get("HARNESS_MODEL", ".model"), "help": "the model's folder (default: .model)"},
    ),
    (
        "--harness-as-expected",
        {
            "action": "store_true",
            "help": "a scenario's test passes when its verdict is the one that its file names under 'expect'; "
            "otherwise when the verdict is pass",
        },
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
    *(f"{stack}: scenarios on this stack" for stack in ("local", "compose", "external", "fake")),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """All names begin with --harness-, so that they are nobody else's."""
    group = parser.getgroup("harness", "reliability scenarios")
    for name, how in _OPTIONS:
        try:
            group.addoption(name, **how)
        except (ValueError, argparse.ArgumentError) as error:
            raise pytest.UsageError(
                f"the option {name} of reliability-harness is another plugin's, too ({error}); leave one of them out "
                "with '-p no:NAME' (ours is 'harness')"
            ) from error


def pytest_configure(config: pytest.Config) -> None:
    """Marks that every session knows; those of folders come with their scenarios."""
    if config.getoption("harness_pairs") and config.getoption("harness_as_expected"):
        raise pytest.UsageError("--harness-pairs runs both halves as the files say: leave out --harness-as-expected")
    for line in _MARKS:
        config.addinivalue_line("markers", line)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """YAML files that are named on the command line or lie in a folder called scenarios."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    if _is_of_a_catalogue(file_path, parent.config) or parent.session.isinitpath(file_path):
        from harness.testing.items import ScenarioFile

        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


def _is_of_a_catalogue(path: Path, config: pytest.Config) -> bool:
    """Does it lie in a folder called scenarios, and not in its examples or soak? What lies above is no matter."""
    parts = path.parts
    if config.inipath is not None and path.is_relative_to(config.rootpath):
        parts = path.relative_to(config.rootpath.parent).parts
    if "scenarios" not in parts:
        return False
    below = parts[len(parts) - parts[::-1].index("scenarios") :]
    return not {"examples", "soak"} & set(below)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers of xdist make their plans with the same seed."""
    from harness.testing.running import SEED_OF_WORKERS, seed_of

    node.workerinput[SEED_OF_WORKERS] = seed_of(node.config)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """The seed, when there is anything that has one."""
    if "harness.testing.items" not in sys.modules:
        return []
    from harness.testing.items import ScenarioItem
    from harness.testing.running import seed_of

    if not any(isinstance(item, ScenarioItem) for item in items):
        return []
    return [f"harness: seed {seed_of(config)}"]


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
