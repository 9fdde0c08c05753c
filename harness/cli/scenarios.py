"""From file names on the command line to scenarios and plans, every problem of every file at once."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.model.errors import CapabilityError, HarnessError, Problem, ScenarioError, StackError
from harness.model.expectation import Half
from harness.model.scenario import Scenario
from harness.plan.halves import has_pair, of_half
from harness.plan.make_plan import Drawn, lacking, make_plan
from harness.record.clock import Clock
from harness.scenario_files import read_scenario
from harness.session import facts
from harness.stack.base import Stack
from harness.stack.fake.stack import FakeStack

__all__ = [
    "STACKS",
    "USUAL_MODEL",
    "Where",
    "expand",
    "load_scenarios",
    "make_plans",
    "make_stack",
    "new_seed",
    "plan_all",
    "stack_for",
    "within_reach",
]

USUAL_MODEL = Path(".model")  # where `make model` puts it
STACKS = ("local", "compose", "external", "fake")
EXAMPLES = "examples"  # folder of scenarios that need a target of the user's own: run only when they are named
SOAK = "soak"  # folder of soak files, which are no scenarios
PROMETHEUS = "HARNESS_PROMETHEUS"  # its program, for the local stack; empty: none is started
TOXIPROXY = "HARNESS_TOXIPROXY"  # command of an official server that is to be used instead of ours


class Where(NamedTuple):
    """Where scenarios run; `stack` None: on the target that a scenario names, or else locally."""

    stack: str | None
    model: Path
    url: str | None = None  # of a target that is not the harness's own

    def of(self, scenario: Scenario) -> str:
        """The stack's name. Raises HarnessError when the words contradict each other."""
        if self.url is not None and self.stack not in (None, "external"):
            raise HarnessError(f"--url is for --stack external, not for --stack {self.stack}")
        if self.stack is not None:
            return self.stack
        return "external" if self.url is not None else scenario.usual_stack

    def replay(self, stack: str) -> str:
        """What the command that repeats a plan needs beyond file, half, stack and seed; begins with a space."""
        if stack == "external":
            return f" --url {shlex.quote(self.url)}" if self.url else ""
        own = stack != "fake" and self.model != USUAL_MODEL
        return f" --model {shlex.quote(str(self.model))}" if own else ""


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and every scenario below a folder; what lies in `soak/` is none.

    Raises HarnessError for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted({*path.rglob("*.yaml"), *path.rglob("*.yml")})
            below = [one for one in below if not {EXAMPLES, SOAK} & set(one.relative_to(path).parts)]
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
            scenarios.append(read_scenario(path, str(path)))
        except ScenarioError as error:
            problems += error.problems
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(path), 1, f"cannot be read: {error}"))
    if problems:
        raise ScenarioError(problems)
    return scenarios


def within_reach(
    scenarios: Sequence[Scenario], given: Iterable[Path], stack: Stack, halves: Sequence[Half | None] = (None,)
) -> tuple[list[Scenario], list[str]]:
    """Those that the stack can do, and a sentence for each that was found in a folder and that it cannot.

    One that was named, in `given`, stays: it is refused when it is planned. Raises CapabilityError when none is left.
    """
    named = {str(path) for path in given if not path.is_dir()}
    kept: list[Scenario] = []
    left_out: list[str] = []
    for one in scenarios:
        asked = [of_half(one, half) if half and has_pair(one) else one for half in halves]
        said = [] if one.file in named else [what for it in asked for what in _lacks(it, stack)]
        if said:
            left_out.append(said[0])
        else:
            kept.append(one)
    if not kept:
        raise CapabilityError("\n".join(left_out))
    return kept, left_out


def _lacks(scenario: Scenario, stack: Stack) -> list[str]:
    return lacking(scenario, stack.name, stack.capabilities)


def make_stack(name: str, model: Path, clock: Clock) -> Stack:
    """The stack of that name, with nothing started. Raises StackError when it could not be brought up here."""
    stack: Stack
    if name == "fake":
        stack = FakeStack(clock)
    elif name == "local":
        # Here, since the fake stack should need nothing of it.
        from harness.stack.local.stack import LocalStack
        from harness.stack.reference.settings import LocalSettings

        official = tuple(shlex.split(os.environ.get(TOXIPROXY, "")))
        settings = LocalSettings(prometheus=os.environ.get(PROMETHEUS, "prometheus"))
        if official:
            settings = replace(settings, proxy_command=official, proxy_is_ours=False)
        stack = LocalStack(model, settings, clock)
    elif name == "compose":
        from harness.stack.compose.prometheus import wanted
        from harness.stack.compose.stack import ComposeSettings, ComposeStack
        from harness.stack.containers.address import on_this_host, where

        if on_this_host(where()):
            stack = ComposeStack(model, ComposeSettings(prometheus=wanted(os.environ)), clock)
        else:
            from harness.stack.remote.stack import RemoteStack

            stack = RemoteStack(model, clock=clock)
    else:
        raise StackError(f"there is no stack '{name}'; known: {', '.join(STACKS)}")
    stack.check()
    return stack


def stack_for(where: Where, scenario: Scenario, clock: Clock) -> Stack:
    """The stack that a scenario runs on, with nothing started. Raises StackError."""
    name = where.of(scenario)
    if name != "external":
        return make_stack(name, where.model, clock)
    from harness.stack.external.stack import ExternalStack

    longest_s = max((fault.lasts_s for fault in scenario.faults), default=0.0)
    stack = ExternalStack(scenario.external, where.url, (scenario.load.output_tokens, longest_s), clock)
    stack.check()
    return stack


def plan_all(scenarios: Sequence[Scenario], where: Where, seed: str, clock: Clock) -> list[tuple[Drawn, Stack]]:
    """Plan every scenario on its stack; those of the harness's own target share one."""
    stacks: dict[int, Stack] = {}
    shared: dict[str, Stack] = {}
    for index, scenario in enumerate(scenarios):
        name = where.of(scenario)
        if name == "external":
            stacks[index] = stack_for(where, scenario, clock)
        else:
            stacks[index] = shared[name] = shared.get(name) or make_stack(name, where.model, clock)
    plans: list[tuple[Drawn, Stack]] = []
    problems: list[Problem] = []
    for index, scenario in enumerate(scenarios):
        try:
            plans.append((make_plans([scenario], stacks[index], seed, where)[0], stacks[index]))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return plans


def make_plans(scenarios: Sequence[Scenario], stack: Stack, seed: str, where: Where) -> list[Drawn]:
    """Plan every scenario on the stack of `where`. Raises one ScenarioError with what is wrong in any of them."""
    target = facts(stack, where.replay(stack.name))
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
