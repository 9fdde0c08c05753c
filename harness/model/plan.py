"""The plan: the scenario expanded with a seed, before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.model.scenario import Scenario

__all__ = ["HIDDEN", "Arrivals", "Plan", "Prompt", "Step", "Task", "Window"]

HIDDEN = "(a secret, not recorded)"  # in the place of a variable's value


@dataclass(frozen=True)
class Prompt:
    """One thing to ask. `answer` is the golden one; None: unknown, so it is not checked."""

    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    answer: str | None


@dataclass(frozen=True)
class Task:
    """One kind of request of the mix."""

    name: str
    stream: bool
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True)
class Arrivals:
    """When each request of a lane is due (microseconds from the lane's begin) and what it asks; equal lengths."""

    scheduled_us: list[int]
    task: list[int]  # index into the plan's tasks
    prompt: list[int]  # index into the task's prompts


@dataclass(frozen=True)
class Window:
    """A stretch of the schedule, in seconds from its begin. Episode 0 is the baseline."""

    phase: Literal["baseline", "fault", "recovery"]
    episode: int
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Step:
    """Something that the experiment does at `at_s` seconds from the schedule's begin."""

    at_s: float
    action: Literal["inject", "restart", "heal"]
    episode: int  # from 1
    fault: int  # index into the scenario's faults


@dataclass(frozen=True)
class Plan:
    """What will happen. Everything in it follows from scenario, stack, seed and what is named of the environment."""

    scenario: Scenario
    stack: str
    seed: str
    windows: tuple[Window, ...]
    steps: tuple[Step, ...]
    tasks: tuple[str, ...]
    duration_s: float  # of the schedule, without warm-up
    requests: int  # of the user lane
    arrivals_sha256: str
    resolves: tuple[str, ...] = ()  # sentences on what this plan can and cannot show
    replay: str = ""  # the command that repeats it
    target: Mapping[str, str] = field(default_factory=dict)  # replica -> what it is
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that switch the target; no secret's value
