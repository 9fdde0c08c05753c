"""When requests are due, drawn from the seed before the run: an open loop does not wait for answers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from harness.model.plan import Arrivals, Task
from harness.model.scenario import Load

__all__ = ["control_arrivals", "draw_tasks", "draw_times", "fingerprint"]

CONTROL_RATE_PER_S = 5.0  # cheap enough to be no load, dense enough for a noise floor in every phase


def draw_times(load: Load, seconds: float, rng: random.Random) -> list[int]:
    """Microseconds at which requests are due within `seconds` seconds: exponential gaps or even ones."""
    due: list[int] = []
    at_s = 0.0
    while True:
        gap_s = rng.expovariate(load.rate_per_s) if load.arrivals == "poisson" else 1 / load.rate_per_s
        at_s += gap_s
        if at_s >= seconds:
            break
        due.append(round(at_s * 1e6))
    return due


def draw_tasks(load: Load, tasks: Sequence[Task], due_us: list[int], rng: random.Random) -> Arrivals:
    """What each request asks: tasks by the mix, prompts in random order."""
    shares = [load.mix[task.name] for task in tasks]
    chosen = rng.choices(range(len(tasks)), weights=shares, k=len(due_us)) if due_us else []
    prompts = [rng.randrange(len(tasks[task].prompts)) for task in chosen]
    return Arrivals(due_us, chosen, prompts)


def control_arrivals(seconds: float) -> Arrivals:
    """An even, slow beat to the trivial echo server."""
    count = int(seconds * CONTROL_RATE_PER_S)
    return Arrivals([round(index / CONTROL_RATE_PER_S * 1e6) for index in range(count)], [0] * count, [0] * count)


def fingerprint(arrivals: Arrivals) -> str:
    """SHA-256 of the schedule, for the plan: two runs with the same one sent the same load."""
    text = repr((arrivals.scheduled_us, arrivals.task, arrivals.prompt))
    return hashlib.sha256(text.encode()).hexdigest()
