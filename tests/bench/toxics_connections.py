"""4,000 idle connections: memory, and how long a toxic takes to be everywhere. 20,000 in turn: does anything grow?"""

from __future__ import annotations

import resource
import statistics
import time

from tests.bench.figure import Figure, Goal, span
from tests.bench.toxics_world import World, connected, world

MEMORY = Goal("toxics_4000_idle_mb", "<=", 65, "MB")
EVERYWHERE = Goal("toxics_4000_add_remove_ms", "<=", 20, "ms")
GROWTH = Goal("toxics_20000_in_turn_growth_mb", "<=", 1, "MB")
LEFT = Goal("toxics_20000_in_turn_descriptors_left", "<=", 0)
GOALS = (MEMORY, EVERYWHERE, GROWTH, LEFT)
IDLE, IN_TURN, WARM, REPEATS = 4000, 20_000, 4000, 5


def figures() -> list[Figure]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _idle() + _in_turn()


def _idle() -> list[Figure]:
    with world("echo") as one:
        before_mb = one.memory_mb()
        socks = [connected(one.proxied) for _ in range(IDLE)]
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks:
            assert sock.recv(1) == b"x"
        memory_mb = one.memory_mb()
        took_ms = [took for _ in range(REPEATS) for took in _add_and_remove(one)]
        for sock in socks:
            sock.close()
    return [MEMORY.figure(memory_mb, f"{before_mb:.1f} without"), EVERYWHERE.figure(max(took_ms), span(took_ms))]


def _add_and_remove(one: World) -> list[float]:
    """Both calls, in ms, as a client sees them."""
    begin_s = time.perf_counter()
    one.toxic("latency", latency=10)
    added_s = time.perf_counter()
    one.remove("latency")
    return [(added_s - begin_s) * 1000, (time.perf_counter() - added_s) * 1000]


def _in_turn() -> list[Figure]:
    with world("echo") as one:
        descriptors = one.descriptors()
        _open_and_close(one, WARM)
        before_mb = statistics.median(one.memory_mb() for _ in range(3))
        _open_and_close(one, IN_TURN)
        time.sleep(0.5)
        after_mb = one.memory_mb()
        left = max(0, one.descriptors() - descriptors)
    return [GROWTH.figure(after_mb - before_mb, f"{before_mb:.1f}–{after_mb:.1f}"), LEFT.figure(left)]


def _open_and_close(one: World, count: int) -> None:
    for _ in range(count):
        with connected(one.proxied) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
