"""One scenario as one test: run it, and say what came of it in words."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.testing.lock import one_at_a_time

if TYPE_CHECKING:
    from harness.kept_stack import KeptStack
    from harness.model.scenario import Scenario
    from harness.model.verdict import Verdict

__all__ = [
    "ScenarioFailed",
    "ScenarioInconclusive",
    "TestedRun",
    "end_kept_stack",
    "run_as_test",
    "sentence",
]

_SEED = pytest.StashKey[str]()
_KEEPER = pytest.StashKey["KeptStack | None"]()
_TURN = pytest.StashKey[ExitStack]()


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
    out = Path(config.getoption("harness_out"))
    keeper = _keeper(config, (name, model), out)
    with nullcontext() if keeper else one_at_a_time(registry_folder(os.environ), name):
        done = run_unattended(scenario, (name, model), seed_of(config), out, keeper)
    if done.interrupted:  # it is healed, judged and kept; what is left of the session is not wanted any more
        raise KeyboardInterrupt(sentence(TestedRun(done.verdict, done.folder)))
    return TestedRun(done.verdict, done.folder)


def seed_of(config: pytest.Config) -> str:
    """Of all plans of the session: runs of different seeds could not share a stack."""
    from harness.cli.scenarios import new_seed

    given = config.getoption("harness_seed")
    return str(config.stash.setdefault(_SEED, given or new_seed()))


def end_kept_stack(config: pytest.Config) -> list[str]:
    """The session is over. Returns what could not be cleaned up yet, in words."""
    keeper = config.stash.get(_KEEPER, None)
    left = (keeper.end() if keeper else None) or []
    config.stash.get(_TURN, ExitStack()).close()
    return left


def _keeper(config: pytest.Config, where: tuple[str, Path], out: Path) -> KeptStack | None:
    """One for the session, which has its turn until it ends; workers of xdist take turns, and keep nothing up."""
    if config.getoption("harness_fresh") or "PYTEST_XDIST_WORKER" in os.environ:
        return None
    if _KEEPER not in config.stash:
        from harness.cli.keeping import keeper_of
        from harness.store.registry import Registry, registry_folder

        folder = registry_folder(os.environ)
        config.stash[_KEEPER] = keeper = keeper_of(where, out, Registry(folder))
        if keeper is not None:
            config.stash.setdefault(_TURN, ExitStack()).enter_context(one_at_a_time(folder, where[0]))
    return config.stash[_KEEPER]


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
