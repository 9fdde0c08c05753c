"""Expand a scenario with a stack and a seed into a plan; refuse what could never be shown."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.model.capability import Capability
from harness.model.errors import CapabilityError, Problem, ScenarioError
from harness.model.plan import Arrivals, Plan, Prompt, Task
from harness.model.scenario import Scenario
from harness.plan.arrivals import draw_arrivals, fingerprint
from harness.plan.resolution import refusals, resolution
from harness.plan.timeline import steps, windows

__all__ = ["Drawn", "TargetFacts", "make_plan"]


@dataclass(frozen=True)
class TargetFacts:
    """What the planner needs to know of a stack."""

    stack: str
    capabilities: frozenset[Capability]
    replicas: Mapping[str, str]  # name -> what it is
    prompts: Mapping[str, Sequence[Prompt]]  # prompt set -> prompts


@dataclass(frozen=True)
class Drawn:
    """A plan with the load it implies."""

    plan: Plan
    tasks: tuple[Task, ...]
    user: Arrivals
    warmup: Arrivals


def make_plan(scenario: Scenario, target: TargetFacts, seed: str) -> Drawn:
    """Everything that will happen; the same for the same scenario, stack and seed.

    Raises CapabilityError for a fault that the stack cannot inject, ScenarioError for names that the target does not
    have and for claims that the planned data could never support.
    """
    _check_capabilities(scenario, target)
    phases = windows(scenario)
    duration_s = phases[-1].end_s
    problems = [*_unknown_names(scenario, target), *refusals(scenario, phases)]
    if problems:
        raise ScenarioError([Problem(scenario.file or scenario.name, 1, problem) for problem in problems])
    tasks = _tasks(scenario, target)
    user = draw_arrivals(scenario.load, tasks, duration_s, random.Random(f"{seed}/user"))
    warmup = draw_arrivals(scenario.load, tasks, scenario.warmup_max_s, random.Random(f"{seed}/warmup"))
    plan = Plan(
        scenario=scenario,
        stack=target.stack,
        seed=seed,
        windows=phases,
        steps=steps(scenario),
        tasks=tuple(task.name for task in tasks),
        duration_s=duration_s,
        requests=len(user.scheduled_us),
        arrivals_sha256=fingerprint(user),
        resolves=resolution(scenario),
        replay=f"harness run {scenario.file or scenario.name} --stack {target.stack} --seed {seed}",
        target=dict(target.replicas),
    )
    return Drawn(plan, tasks, user, warmup)


def _check_capabilities(scenario: Scenario, target: TargetFacts) -> None:
    for fault in scenario.faults:
        if fault.needs not in target.capabilities:
            raise CapabilityError(
                f"{scenario.file or scenario.name}: {fault.kind} needs the capability '{fault.needs}', "
                f""
                f"which the stack '{target.stack}' does not have (it has: {', '.join(sorted(target.capabilities))})"
            )


def _unknown_names(scenario: Scenario, target: TargetFacts) -> list[str]:
    problems = [
        f"faults: '{on}' is not a replica of the stack '{target.stack}'{_close(on, target.replicas)}"
        for on in sorted({fault.on for fault in scenario.faults} - set(target.replicas))
    ]
    known = [name for prompt_set in target.prompts for name in (prompt_set, f"{prompt_set}_stream")]
    unknown = [task for task in scenario.load.mix if task not in known]
    return problems + [f"load.mix: the target has no task '{task}'{_close(task, known)}" for task in unknown]


def _close(given: str, known: Sequence[str] | Mapping[str, str]) -> str:
    close = difflib.get_close_matches(given, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else f"; known: {', '.join(known)}"


def _tasks(scenario: Scenario, target: TargetFacts) -> tuple[Task, ...]:
    return tuple(
        Task(name, name.endswith("_stream"), tuple(target.prompts[name.removesuffix("_stream")]))
        for name in scenario.load.mix
    )
