"""The per-request simulator: how fast against simpy, how long and large a month is, and how near to the textbooks."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import simpy

from harness.soak.simulator import Clients, End, RateProfile, Service, ServiceTime, Setup, draw_chunks, simulate_chunks
from tests.bench.figure import Figure, Goal, span

_ROOT = Path(__file__).parents[2]
RATIO = Goal("simulator_over_simpy", ">=", 80, "times")
MONTH = Goal("simulated_month_s", "<=", 3, "s")
MEMORY = Goal("simulated_month_resident_mb", "<=", 500, "MB")
EXACT = Goal("simulator_error_percent", "<=", 1, "%")
GOALS = (RATIO, MONTH, MEMORY, EXACT)
RATE_PER_S, SERVICE_S, SERVERS, QUEUE_LIMIT, DEADLINE_S = 10.0, 0.25, 5, 50, 2.0
SIMPY_REQUESTS = 60_000
REPEATS = 3
# A fresh process, since the largest size of this one says nothing; it draws 90 outages of each of two replicas.
_MONTH = """
import resource, sys, time
import numpy as np
from harness.soak.simulator import *
horizon_s, rng, outages = 30 * 86_400.0, np.random.default_rng(7), []
for replica in (0, 1):
    for begin, long, fatal in zip(rng.uniform(0, horizon_s, 90), rng.exponential(30, 90), rng.random(90)):
        outages.append(Outage(replica, begin, begin + long, "crash" if fatal < 0.5 else "hang"))
service = Service(replicas=2, servers=5, queue_limit=50, detect_s=3)
clients = Clients(deadline_s=2, tries_max=3, retry_share=0.1)
def run(seconds):
    setup = Setup(service, clients, outages, horizon_s=seconds, engine="numba")
    return simulate_chunks(draw_chunks(RateProfile((10.0,)), ServiceTime(0.25), seconds, 1), setup)
run(3600.0)
begin_s = time.monotonic()
totals = run(horizon_s)
print(time.monotonic() - begin_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, totals.requests)
"""


def figures() -> list[Figure]:
    ratios = [_ours_per_s() / _simpy_per_s(seed) for seed in range(REPEATS)]
    seen = [_month() for _ in range(REPEATS)]
    print(f"simulator: ratios {ratios}; months (s, MB, requests) {seen}", file=sys.stderr)
    seconds, megabytes = [one[0] for one in seen], [one[1] for one in seen]
    errors = closed_form_errors()
    print(f"simulator: {errors}", file=sys.stderr)
    return [
        RATIO.figure(statistics.median(ratios), span(ratios)),
        MONTH.figure(statistics.median(seconds), span(seconds)),
        MEMORY.figure(max(megabytes), span(megabytes)),
        EXACT.figure(100 * max(errors.values()), ", ".join(f"{name} {100 * e:.2g}" for name, e in errors.items())),
    ]


def _setup(horizon_s: float, queue_limit: int | None = QUEUE_LIMIT, deadline_s: float | None = DEADLINE_S) -> Setup:
    service = Service(servers=SERVERS, queue_limit=queue_limit)
    return Setup(service, Clients(deadline_s=deadline_s), horizon_s=horizon_s, engine="numba")


def _ours_per_s() -> float:
    """Requests per s of M/M/5 with a queue limit and deadlines, drawing included, compilation not."""
    times = ServiceTime(SERVICE_S, "exponential")
    simulate_chunks(draw_chunks(RateProfile((RATE_PER_S,)), times, 100, 1), _setup(100))
    begin_s = time.monotonic()
    totals = simulate_chunks(draw_chunks(RateProfile((RATE_PER_S,)), times, 400_000, 1), _setup(400_000))
    return totals.requests / (time.monotonic() - begin_s)


def _simpy_per_s(seed: int) -> float:
    """The same in simpy, with a process per request."""
    env, rng = simpy.Environment(), random.Random(seed)
    servers = simpy.Resource(env, SERVERS)
    ends = dict.fromkeys(("ok", "rejected", "timeout"), 0)

    def request() -> Generator[simpy.Event, object, None]:
        if len(servers.queue) >= QUEUE_LIMIT:
            ends["rejected"] += 1
            return
        deadline_s = env.now + DEADLINE_S
        with servers.request() as turn:
            yield turn | env.timeout(DEADLINE_S)
            if not turn.triggered:
                ends["timeout"] += 1
                return
            service_s = rng.expovariate(1 / SERVICE_S)
            yield env.timeout(min(service_s, deadline_s - env.now))
            ends["ok" if env.now < deadline_s else "timeout"] += 1

    def arrivals() -> Generator[simpy.Event, object, None]:
        for _ in range(SIMPY_REQUESTS):
            yield env.timeout(rng.expovariate(RATE_PER_S))
            env.process(request())

    env.process(arrivals())
    begin_s = time.monotonic()
    env.run()
    seconds = time.monotonic() - begin_s
    assert sum(ends.values()) == SIMPY_REQUESTS
    return SIMPY_REQUESTS / seconds


def _month() -> tuple[float, float, int]:
    """Wall time in s, largest resident size in MB, requests."""
    said = subprocess.run([sys.executable, "-c", _MONTH], cwd=_ROOT, check=True, capture_output=True, text=True)
    seconds, megabytes, requests = said.stdout.split()
    return float(seconds), float(megabytes), int(requests)


def closed_form_errors(horizon_s: float = 2e6) -> dict[str, float]:
    """Relative errors of M/M/c's wait and utilisation (Erlang C) and M/M/c/K's loss (Kleinrock, Queueing Systems 1)."""
    times, load = ServiceTime(SERVICE_S, "exponential"), RATE_PER_S * SERVICE_S
    free = simulate_chunks(draw_chunks(RateProfile((RATE_PER_S,)), times, horizon_s, 1), _setup(horizon_s, None, None))
    last = load**SERVERS / math.factorial(SERVERS) / (1 - load / SERVERS)
    waits = last / (sum(load**k / math.factorial(k) for k in range(SERVERS)) + last)
    wait_s = waits * SERVICE_S / (SERVERS - load)
    full = simulate_chunks(draw_chunks(RateProfile((2 * RATE_PER_S,)), times, horizon_s, 2), _setup(horizon_s, 3, None))
    weights = [(2 * load) ** k / math.factorial(k) for k in range(SERVERS)]
    weights += [(2 * load) ** SERVERS / math.factorial(SERVERS) * (2 * load / SERVERS) ** k for k in range(4)]
    loss = weights[-1] / sum(weights)
    return {
        "mean wait": abs(free.wait_s_mean / wait_s - 1),
        "utilisation": abs(float(free.utilisation(horizon_s, SERVERS)[0]) * SERVERS / load - 1),
        "loss": abs(full.ends[End.REJECTED] / full.requests / loss - 1),
    }
