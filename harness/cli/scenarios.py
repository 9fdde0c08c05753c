"""From file names on the command line to scenarios and plans, every problem of every file at once."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.model.errors import HarnessError, Problem, ScenarioError, StackError
from harness.model.scenario import Scenario
from harness.plan.make_plan import Drawn, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import Clock
from harness.session import facts
from harness.stack.base import Stack
from harness.stack.fake import FakeStack

__all__ = ["STACKS", "expand", "load_scenarios", "make_plans", "make_stack", "new_seed"]

STACKS = ("local", "compose", "fake")
TOXIPROXY = "HARNESS_TOXIPROXY"  # command of an official server that is to be used instead of ours


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and every YAML file below a folder. Raises HarnessError for a path that is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted({*path.rglob("*.yaml"), *path.rglob("*.yml")})
            if not below:
                raise HarnessError(f"{path} holds no scenario (*.yaml)")
            found += below
        elif path.exists():
            found.append(path)
        else:
            raise HarnessError(
                f"{path}: there is no such file; 'ls scenarios/*' shows those that come with the project"
            )
    return found


def load_scenarios(paths: Iterable[Path]) -> list[Scenario]:
    """Parse every file. Raises one ScenarioError with the problems of all of them."""
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for path in expand(paths):
        try:
            scenarios.append(parse_scenario(path.read_text(encoding="utf-8"), str(path)))
        except ScenarioError as error:
            problems += error.problems
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(path), 1, f"cannot be read: {error}"))
    if problems:
        raise ScenarioError(problems)
    return scenarios


def make_stack(name: str, model: Path, clock: Clock) -> Stack:
    """The stack of that name, with nothing started. Raises StackError when it could not be brought up here."""
    stack: Stack
    if name == "fake":
        stack = FakeStack(clock)
    elif name == "local":
        # Here, since the fake stack should need nothing of it.
        from harness.stack.local import LocalStack
        from harness.stack.local_settings import LocalSettings

        official = tuple(shlex.split(os.environ.get(TOXIPROXY, "")))
        settings = LocalSettings(proxy_command=official, proxy_is_ours=False) if official else LocalSettings()
        stack = LocalStack(model, settings, clock)
    elif name == "compose":
        from harness.stack.compose import ComposeStack

        stack = ComposeStack(model, clock=clock)
    else:
        raise StackError(f"there is no stack '{name}'; known: {', '.join(STACKS)}")
    stack.check()
    return stack


def make_plans(scenarios: Sequence[Scenario], stack: Stack, seed: str) -> list[Drawn]:
    """Plan every scenario. Raises one ScenarioError with what is wrong in any of them."""
    target = facts(stack)
    plans: list[Drawn] = []
    problems: list[Problem] = []
    for scenario in scenarios:
        try:
            plans.append(make_plan(scenario, target, seed))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return plans


def new_seed() -> str:
    """A fresh seed, short enough to be typed."""
    return secrets.token_hex(4)
