"""Scenario files as tests: a test a file, or two with --harness-pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import CapabilityError, HarnessError, ScenarioError
from harness.model.expectation import HALVES, expectation, unexpected
from harness.model.pairs import half_result
from harness.model.scenario import Scenario
from harness.model.verdict import VerdictOutcome
from harness.plan.halves import has_pair, in_order_of_targets, of_half, without_pairs
from harness.plan.timeline import windows
from harness.scenario_files import read_scenario
from harness.testing.running import (
    ScenarioFailed,
    ScenarioInconclusive,
    TestedRun,
    properties,
    run_as_test,
    sentence,
    stack_of,
)

__all__ = ["FAST_S_MAX", "BrokenItem", "ScenarioFile", "ScenarioItem", "by_target"]

PYTESTS_OWN = frozenset({"filterwarnings", "parametrize", "skip", "skipif", "usefixtures", "xfail"})
FAST_S_MAX = 13.0  # of the schedule, without start and warm-up: what is marked fast


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        """A file that cannot be read is a test that errs, so that the others go on."""
        shown = os.path.relpath(self.path, self.config.invocation_params.dir)
        try:
            scenario = read_scenario(self.path, shown)
        except (ScenarioError, OSError, UnicodeDecodeError) as error:
            said = str(error) if isinstance(error, ScenarioError) else f"{shown}: cannot be read: {error}"
            yield BrokenItem.from_parent(self, name=self.path.stem, said=said)
            return
        if not self.config.getoption("harness_pairs"):
            yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)
        elif has_pair(scenario):
            for half in HALVES:
                one = of_half(scenario, half)
                yield ScenarioItem.from_parent(self, name=f"{scenario.name}[{half}]", scenario=one)
        elif self.session.isinitpath(self.path):  # it was asked for by name
            said = str(ScenarioError(without_pairs([scenario])))
            yield BrokenItem.from_parent(self, name=scenario.name, said=said)


def by_target(items: list[pytest.Item]) -> None:
    """Reorder in place: the places that scenarios have are taken by them in the order of their targets."""
    places = [place for place, item in enumerate(items) if isinstance(item, ScenarioItem)]
    runs = [item for item in items if isinstance(item, ScenarioItem)]
    order = in_order_of_targets([run.scenario for run in runs])
    for place, index in zip(places, order, strict=True):
        items[place] = runs[index]


class BrokenItem(pytest.Item):
    """A file that is no scenario: every problem of it. It is fast, so that a fast subset says it, too."""

    def __init__(self, *, said: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._said = said
        _mark(self, self.path.parent.name, self.config.getoption("harness_stack") or "local", "fast")

    def setup(self) -> None:
        pytest.fail(self._said, pytrace=False)

    def runtest(self) -> None:
        """Never reached."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"scenario file {self.name}"


class ScenarioItem(pytest.Item):
    """One run. It happens in the set-up phase, so that an inconclusive one is an error, not a failure."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.done: TestedRun | None = None
        fast = "fast" if windows(scenario)[-1].end_s <= FAST_S_MAX else "slow"
        more = [scenario.half] if scenario.half else []
        _mark(self, self.path.parent.name, stack_of(self.config, scenario), fast, *more)

    def setup(self) -> None:
        """Pytest shows a traceback of what a set-up raises, except for this: a sentence is all there is to say."""
        if self.config.getoption("setuponly"):  # or --setup-plan: who asks only for that wants nothing broken
            return
        try:
            self._run()
        except (HarnessError, ScenarioInconclusive) as error:
            pytest.fail(str(error), pytrace=False)

    def _run(self) -> None:
        try:
            self.done = run_as_test(self.scenario, self.config)
        except CapabilityError as error:
            if self.session.isinitpath(self.path):
                raise  # it was asked for by name
            pytest.skip(str(error).splitlines()[0].partition(" (it has")[0])
        self.user_properties += properties(self.done)
        self.add_report_section("setup", "verdict", sentence(self.done))
        if self.done.verdict.outcome is VerdictOutcome.INCONCLUSIVE:
            raise ScenarioInconclusive(sentence(self.done))

    def runtest(self) -> None:
        assert self.done is not None
        half = self.scenario.half
        if half is None:
            self._judge_as_written(self.done)
            return
        known = expectation(self.scenario.expect, half)
        assert known is not None
        result = half_result(half, known, self.done.verdict, seconds=0.0, report="")
        if not result.met:
            raise ScenarioFailed(sentence(self.done, f"{half}: {result.why}"))

    def _judge_as_written(self, done: TestedRun) -> None:
        outcome = done.verdict.outcome
        if self.config.getoption("harness_as_expected"):
            if why := unexpected(self.scenario.expect, None, outcome):
                raise ScenarioFailed(sentence(done, why))
        elif outcome is VerdictOutcome.FAIL:
            raise ScenarioFailed(sentence(done))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A sentence for what a user can cause, a traceback for our own defects."""
        if isinstance(excinfo.value, HarnessError | ScenarioFailed | ScenarioInconclusive):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"scenario {self.name}"


def _mark(item: pytest.Item, *names: str) -> None:
    """Registered first, since a session may be strict about marks; folders are known only when they are read."""
    for name in names:
        if name.startswith("_") or name in PYTESTS_OWN:
            continue  # a folder's name that pytest would refuse or take for an order
        item.config.addinivalue_line("markers", f"{name}: scenarios of this folder or stack")
        item.add_marker(name)
