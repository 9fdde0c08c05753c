"""Simulate: arrays in, ends out; or chunk by chunk, so that months fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from harness.soak.simulator.machine import FloatArray, Machine, Setup
from harness.soak.simulator.results import Requests, Totals

__all__ = ["simulate", "simulate_chunks"]


def simulate(arrival_s: FloatArray, service_s: FloatArray, setup: Setup) -> tuple[Requests, Totals]:
    """Each request's end. `arrival_s` (n,): when each is due, in order. `service_s` (n,): how long a server needs.

    Times in s. A retry needs the same time as the first try: it asks the same. Everything that arrives is followed to
    its end, also beyond the horizon. A SimulationError when the arrays do not fit each other or are out of order.
    """
    machine = Machine(setup, recorded=len(arrival_s))
    machine.feed(arrival_s, service_s, last=True)
    return machine.requests(), machine.totals()


def simulate_chunks(chunks: Iterable[tuple[FloatArray, FloatArray]], setup: Setup) -> Totals:
    """The sums alone, from chunks of (arrival_s, service_s) in order; the next one is drawn while one is worked on.

    How the requests are cut into chunks changes nothing.
    """
    machine = Machine(setup)
    for arrival_s, service_s in _ahead(iter(chunks)):
        machine.feed(arrival_s, service_s, last=False)
    nothing = np.empty(0)
    machine.feed(nothing, nothing, last=True)
    return machine.totals()


def _ahead(chunks: Iterator[tuple[FloatArray, FloatArray]]) -> Iterator[tuple[FloatArray, FloatArray]]:
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk
