"""Expand a scenario with a stack and a seed into a plan; refuse what could never be shown."""

from __future__ import annotations

import difflib
import random
import shlex
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.model.alerts import AlertRule
from harness.model.capability import Capability
from harness.model.errors import CapabilityError, Problem, ScenarioError
from harness.model.exec_fault import ExecFault
from harness.model.network_faults import STREAM_FAULTS, NetworkFault, ToxicFault
from harness.model.plan import Arrivals, Plan, Prompt, Step, Task, Window
from harness.model.process_faults import NodeDown
from harness.model.scenario import Scenario
from harness.model.service_faults import SERVICE_STREAM_FAULTS, ServiceStaleCache
from harness.model.traffic_faults import TrafficFault
from harness.plan.alerts import alert_refusals
from harness.plan.arrivals import draw_tasks, draw_times, fingerprint
from harness.plan.clashes import ends_engine
from harness.plan.environment import in_effect, on_the_command_line
from harness.plan.resolution import refusals, resolution
from harness.plan.target_options import option_problems, target_path
from harness.plan.timeline import steps, windows
from harness.plan.token_budget import tokens_at_most

__all__ = ["Drawn", "Schedule", "TargetFacts", "lacking", "make_plan"]


STALE_SEEN_S = 2.0  # that the proof of a stale answer takes beside the wait


@dataclass(frozen=True)
class TargetFacts:
    """What the planner needs to know of a stack."""

    stack: str
    capabilities: frozenset[Capability]
    replicas: Mapping[str, str]  # name -> what it is
    prompts: Mapping[str, Sequence[Prompt]]  # prompt set -> prompts
    links: Mapping[str, str] = field(default_factory=dict)  # name -> what it is
    replay: str = ""  # more words for the command that repeats a plan
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that switch the target; no secret's value
    rules: Sequence[AlertRule] = ()  # of the Prometheus that will watch
    unwatched: str = "this stack starts none"  # why none will; empty: one will
    because: str = ""  # why the stack has fewer capabilities here than elsewhere, in words
    options: Mapping[str, Collection[str]] = field(default_factory=dict)  # of its gateway, of a replica; none: unknown


@dataclass(frozen=True)
class Drawn:
    """A plan with the load it implies."""

    plan: Plan
    tasks: tuple[Task, ...]
    user: Arrivals
    warmup: Arrivals


Schedule = tuple[tuple[Window, ...], tuple[Step, ...]]


def make_plan(scenario: Scenario, target: TargetFacts, seed: str, schedule: Schedule | None = None) -> Drawn:
    """Everything that will happen; the same for the same scenario, stack and seed.

    `schedule` is another one than the scenario's own: phases and steps, in which an episode may have faults of its own.

    Raises CapabilityError for a fault that the stack cannot inject, ScenarioError for names that the target does not
    have and for claims that the planned data could never support.
    """
    _check_capabilities(scenario, target)
    phases, what = schedule or (windows(scenario), steps(scenario))
    duration_s = phases[-1].end_s
    user_rng = random.Random(f"{seed}/user")
    due_us = draw_times(scenario.load, duration_s, user_rng)
    baseline_n = bisect_left(due_us, scenario.phases.baseline_s * 1e6)
    problems = [*_unknown_names(scenario, target), *_unfelt(scenario), *refusals(scenario, baseline_n)]
    of_options = option_problems(scenario, list(target.replicas), target.options, target.environment)
    problems += dict.fromkeys(of_options)  # what is said of every replica is found for each of them
    problems += alert_refusals(scenario, target.rules, target.unwatched)
    if problems:
        raise ScenarioError(
            [Problem(_file(scenario), _line(scenario, path), f"{path}: {what}") for path, what in problems]
        )
    tasks = _tasks(scenario, target)
    user = draw_tasks(scenario.load, tasks, due_us, user_rng)
    warmup_rng = random.Random(f"{seed}/warmup")
    evenly = replace(scenario.load, arrivals="constant")  # each stretch of it holds as many, so that they compare
    warmup_us = draw_times(evenly, scenario.warmup_max_s, warmup_rng)
    warmup = draw_tasks(scenario.load, tasks, warmup_us, warmup_rng)
    if target.stack == "external":
        _keep_the_budget(scenario, tasks, (user, warmup), duration_s)
    environment = in_effect(target.environment, scenario.target)
    plan = Plan(
        scenario=scenario,
        stack=target.stack,
        seed=seed,
        windows=phases,
        steps=what,
        tasks=tuple(task.name for task in tasks),
        duration_s=duration_s,
        requests=len(user.scheduled_us),
        arrivals_sha256=fingerprint(user),
        resolves=resolution(scenario, baseline_n),
        replay=f"{on_the_command_line(environment)}{_replay(scenario, target.stack, seed)}{target.replay}",
        target=dict(target.replicas),
        environment=environment,
    )
    return Drawn(plan, tasks, user, warmup)


_OF_THE_TARGET: Mapping[str, Capability] = {
    "target.supervisor": Capability.SUPERVISOR,
    "target.supervision": Capability.SUPERVISOR,
    "target.protection": Capability.OPTIONS,
    "target.gateway": Capability.OPTIONS,
    "target.replica": Capability.OPTIONS,
    "target.each": Capability.OPTIONS,
}


def _replay(scenario: Scenario, stack: str, seed: str) -> str:
    half = f" --protection {scenario.half}" if scenario.half else ""
    return f"harness run {shlex.quote(_file(scenario))}{half} --stack {stack} --seed {shlex.quote(seed)}"


def lacking(scenario: Scenario, stack: str, capabilities: frozenset[Capability]) -> list[str]:
    """What of a scenario the stack cannot do, each in a sentence with file and line; empty: nothing."""
    needs = [
        (f"faults.{index}.kind", fault.kind, need)
        for index, fault in enumerate(scenario.faults)
        for need in sorted(fault.capabilities)
    ]
    halves = ("", f"expect.{scenario.half}.") if scenario.half else ("",)  # a half may have a target of its own
    needs += [
        (half + path, half + path, need)
        for path, need in _OF_THE_TARGET.items()
        for half in halves
        if half + path in scenario.lines
    ]
    if scenario.target.balancer != "gateway":
        needs.append(("target.balancer", "target.balancer", Capability.BALANCER))
    secrets = [f"{target_path(scenario)}.{path}" for path in scenario.target.secret_options]
    needs += [(path, path, Capability.SECRETS) for path in secrets]
    return [
        f"{_file(scenario)}:{_line(scenario, path)}: {what} needs the capability '{need}', which the stack "
        f"'{stack}' does not have"
        for path, what, need in needs
        if need not in capabilities
    ]


def _check_capabilities(scenario: Scenario, target: TargetFacts) -> None:
    has = ", ".join(sorted(target.capabilities)) or "none"
    has += f"; {target.because}" if target.because else ""
    problems = [f"{one} (it has: {has})" for one in lacking(scenario, target.stack, target.capabilities)]
    if problems:
        raise CapabilityError("\n".join(problems))


def _unknown_names(scenario: Scenario, target: TargetFacts) -> Iterator[tuple[str, str]]:
    for index, fault in enumerate(scenario.faults):
        of_links = isinstance(fault, NetworkFault | TrafficFault)
        part, known_parts = ("link", target.links) if of_links else ("replica", target.replicas)
        known_parts = {**known_parts, **dict.fromkeys(fault.more_places, part)}
        if not isinstance(fault, ExecFault) and fault.on not in known_parts:
            what = f"'{fault.on}' is not a {part} of the stack '{target.stack}'{_close(fault.on, known_parts)}"
            yield f"faults.{index}.on", what
        if isinstance(fault, NodeDown):
            for server in sorted(set(fault.also) - {*target.replicas, "gateway"}):
                yield (
                    f"faults.{index}.also",
                    f"'{server}' is not a replica of the stack '{target.stack}', nor the gateway",
                )
    known = [name for prompt_set in target.prompts for name in (prompt_set, f"{prompt_set}_stream")]
    for task in scenario.load.mix:
        if task not in known:
            yield f"load.mix.{task}", f"the target has no such task{_close(task, known)}"


def _unfelt(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Faults that could be proven though no user ever met them."""
    streams = any(task.endswith("_stream") for task in scenario.load.mix)
    for index, fault in enumerate(scenario.faults):
        if isinstance(fault, STREAM_FAULTS + SERVICE_STREAM_FAULTS) and not streams:
            yield (
                f"faults.{index}.kind",
                f"{fault.kind} needs token streams: name a task that ends in _stream in load.mix",
            )
        if isinstance(fault, ServiceStaleCache):
            yield from _never_stale(scenario, index, fault)
        kept = scenario.load.connections == "reuse" or fault.on != "gateway"
        if isinstance(fault, ToxicFault) and fault.toxicity < 1 and fault.toxicity_per == "connection" and kept:
            what = "a share of connections that are kept may be none of the requests, or all: say toxicity_per: request"
            yield f"faults.{index}.toxicity", what


def _never_stale(scenario: Scenario, index: int, fault: ServiceStaleCache) -> Iterator[tuple[str, str]]:
    """Answers are kept only if the target is told to, and are stale when they should have been forgotten by then."""
    options = scenario.target.of_replica(fault.on)
    renewed = any(ends_engine(other) and other.on == fault.on for other in scenario.faults)
    forgotten_s = options.get("cache_ttl_s")
    if not options.get("cache_size"):
        what = f"{fault.kind} needs answers that are kept: say target: {{replica: {{cache_size: 64, cache_ttl_s: 2}}}}"
        yield f"faults.{index}.kind", what
    elif not renewed and (not isinstance(forgotten_s, int | float) or forgotten_s + STALE_SEEN_S > fault.for_s):
        what = f"target.replica.cache_ttl_s must be at most {fault.for_s - STALE_SEEN_S:g}"
        yield f"faults.{index}.for_s", f"{what}, or no kept answer is too old before {fault.kind} ends"


def _keep_the_budget(scenario: Scenario, tasks: tuple[Task, ...], lanes: Sequence[Arrivals], duration_s: float) -> None:
    """Raises ScenarioError for a plan that could ask for more tokens than it may."""
    external = scenario.external
    if external is None or external.tokens_max is None:
        return
    most = tokens_at_most(scenario, tasks, lanes, duration_s)
    if most > external.tokens_max:
        what = (
            f"external.tokens_max: this plan could ask for {most:,} tokens, and {external.tokens_max:,} are allowed; "
        )
        what += "lower load.rate_per_s, the phases or max_tokens"
        raise ScenarioError([Problem(_file(scenario), _line(scenario, "external.tokens_max"), what)])


def _file(scenario: Scenario) -> str:
    return scenario.file or scenario.name


def _line(scenario: Scenario, path: str) -> int:
    """Where a key stands, or its nearest parent that the file names."""
    while path and path not in scenario.lines:
        path = path.rpartition(".")[0]
    return scenario.lines.get(path, 1)


def _close(given: str, known: Sequence[str] | Mapping[str, str]) -> str:
    close = difflib.get_close_matches(given, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else f"; known: {', '.join(known)}"


def _tasks(scenario: Scenario, target: TargetFacts) -> tuple[Task, ...]:
    return tuple(
        Task(name, name.endswith("_stream"), tuple(target.prompts[name.removesuffix("_stream")]))
        for name in scenario.load.mix
    )
