"""One scenario as one test: run it, and say what came of it in words."""

from __future__ import annotations

import os
import secrets
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
    "SEED_OF_WORKERS",
    "ScenarioFailed",
    "ScenarioInconclusive",
    "TestedRun",
    "end_kept_stack",
    "properties",
    "run_as_test",
    "seed_of",
    "sentence",
    "stack_of",
]

SEED_OF_WORKERS = "harness_seed"  # in what xdist tells its workers
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
    from harness.cli.scenarios import Where
    from harness.cli.unattended import run_unattended
    from harness.store.registry import registry_folder

    where = Where(config.getoption("harness_stack"), Path(config.getoption("harness_model")))
    name, out = stack_of(config, scenario), Path(config.getoption("harness_out"))
    keeper = None if name == "external" else _keeper(config, (name, where.model), out)
    # Whose stack is kept has had its turn since that came up, and asking once more would wait for itself.
    with nullcontext() if _TURN in config.stash else one_at_a_time(registry_folder(os.environ), name):
        done = run_unattended(scenario, where, seed_of(config), out, keeper)
    if done.interrupted:  # it is healed, judged and kept; what is left of the session is not wanted any more
        raise KeyboardInterrupt(sentence(TestedRun(done.verdict, done.folder)))
    return TestedRun(done.verdict, done.folder)


def seed_of(config: pytest.Config) -> str:
    """Of all plans of the session: runs of different seeds could not share a stack. Workers of xdist are told it."""
    told = getattr(config, "workerinput", {}).get(SEED_OF_WORKERS)
    return str(config.stash.setdefault(_SEED, config.getoption("harness_seed") or told or secrets.token_hex(4)))


def stack_of(config: pytest.Config, scenario: Scenario) -> str:
    """Where it runs: on the stack of the session, on the target that it names, or else locally."""
    return str(config.getoption("harness_stack") or scenario.usual_stack)


def properties(done: TestedRun) -> list[tuple[str, object]]:
    """What JUnit carries beside the failure's text."""
    verdict = done.verdict
    return [
        ("seed", verdict.seed),
        ("outcome", str(verdict.outcome)),
        ("lost", f"{verdict.sli['lost']} of {verdict.sli['eligible']}"),
        ("replay", str(verdict.run["replay"])),
        ("report", str(done.folder / "report.html")),
    ]


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
