"""One scenario as one test: run it, and say what came of it in words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.testing.lock import one_at_a_time

if TYPE_CHECKING:
    from harness.model.scenario import Scenario
    from harness.model.verdict import Verdict

__all__ = ["ScenarioFailed", "ScenarioInconclusive", "TestedRun", "run_as_test", "sentence"]


class ScenarioFailed(Exception):
    """The target broke an objective, or a half did not do what its file says."""


class ScenarioInconclusive(Exception):
    """The run cannot say whether the target kept its objectives."""


@dataclass(frozen=True)
class TestedRun:
    """A verdict and where its reports lie."""

    __test__ = False  # no class of tests, in spite of its name

    verdict: Verdict
    folder: Path


def run_as_test(scenario: Scenario, config: pytest.Config) -> TestedRun:
    """Run on the stack and with the seed of the session. Raises HarnessError; after Ctrl-C, KeyboardInterrupt."""
    from harness.cli.unattended import run_unattended
    from harness.store.registry import registry_folder

    name, model = config.getoption("harness_stack"), Path(config.getoption("harness_model"))
    with one_at_a_time(registry_folder(os.environ), name):
        done = run_unattended(
            scenario, (name, model), config.getoption("harness_seed"), Path(config.getoption("harness_out"))
        )
    if done.interrupted:  # it is healed, judged and kept; what is left of the session is not wanted any more
        raise KeyboardInterrupt(sentence(TestedRun(done.verdict, done.folder)))
    return TestedRun(done.verdict, done.folder)


def sentence(done: TestedRun, why: str = "") -> str:
    """Verdict, lost users, how to replay it, and where its report is. `why`: what was to come out, if it did not."""
    verdict, sli = done.verdict, done.verdict.sli
    by_outcome = ", ".join(
        f"{n:,} {name.replace('_', ' ')}"
        for name, n in sli["outcomes"].items()
        if n and name not in ("ok", "not_sent", "in_flight_at_end")
    )
    lost = f"lost: {sli['lost']:,} of {sli['eligible']:,}" + (f" ({by_outcome})" if by_outcome else "")
    lines = [
        *([why] if why else []),
        f"{verdict.outcome.upper()}: {verdict.reason}",
        f"{lost}; {sli['wrong_answers']:,} wrong answers",
        f"replay: {verdict.run['replay']}",
        f"report: {done.folder}/report.html",
    ]
    return "\n".join(lines)
