"""What does the proxy add at 100 requests/s without a toxic, and how exact is `latency` of 50 ms on 32 connections?"""

from __future__ import annotations

import selectors
import socket
import statistics
import sys
import time
from collections import deque

from tests.bench.figure import Figure, Goal, span
from tests.bench.toxics_world import connected, world

ADDED_P50 = Goal("toxics_added_ms_p50", "<=", 0.15, "ms")
ADDED_P99 = Goal("toxics_added_ms_p99", "<=", 0.5, "ms")
ERROR_P50 = Goal("toxics_latency_error_ms_p50", "<=", 0.5, "ms")
ERROR_P99 = Goal("toxics_latency_error_ms_p99", "<=", 2, "ms")
GOALS = (ADDED_P50, ADDED_P99, ERROR_P50, ERROR_P99)
REPEATS = 3  # the median counts: what else the machine does must not
PINGS, GAP_S = 400, 0.005  # direct and proxied alternate: 100 a second each
CONNECTIONS, ROUNDS, LATENCY_MS = 32, 20, 50
_PING = b"x" * 200


def figures() -> list[Figure]:
    measured = [_once() for _ in range(REPEATS)]
    columns = [[row[i] for row in measured] for i in range(len(GOALS))]
    return [goal.figure(statistics.median(seen), span(seen)) for goal, seen in zip(GOALS, columns, strict=True)]


def _once() -> tuple[float, ...]:
    """A number for each goal."""
    with world("echo") as one:
        with connected(one.direct) as direct, connected(one.proxied) as proxied:
            plain, through = _alternate(direct, proxied)
        one.toxic("latency", latency=LATENCY_MS)
        errors = sorted(rtt - LATENCY_MS - _at(plain, 0.5) for rtt in _crowd(one.proxied))
    print(f"toxics_delay: direct p50 {_at(plain, 0.5):.3f}, p99 {_at(plain, 0.99):.3f} ms", file=sys.stderr)
    added = [_at(through, quantile) - _at(plain, quantile) for quantile in (0.5, 0.99)]
    return *added, _at(errors, 0.5), _at(errors, 0.99)


def _alternate(direct: socket.socket, proxied: socket.socket) -> tuple[list[float], list[float]]:
    """Sorted round-trip times in ms."""
    plain, through = [], []
    for number in range(PINGS + 20):
        for sock, times in ((direct, plain), (proxied, through)):
            begin_s = time.perf_counter()
            sock.sendall(_PING)
            left = len(_PING)
            while left:
                got = len(sock.recv(left))
                if not got:
                    raise RuntimeError("the connection ended")
                left -= got
            if number >= 20:
                times.append((time.perf_counter() - begin_s) * 1000)
            time.sleep(GAP_S)
    return sorted(plain), sorted(through)


def _crowd(port: int) -> list[float]:
    """Round-trip times in ms; each connection asks again 100 ms after it asked, all of them staggered."""
    socks = [connected(port) for _ in range(CONNECTIONS)]
    found = []
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
        begin_s = time.perf_counter() + 0.1
        due = [(begin_s + 0.1 * turn + 0.1 * i / CONNECTIONS, i) for turn in range(ROUNDS) for i in range(CONNECTIONS)]
        sent: dict[int, deque[float]] = {sock.fileno(): deque() for sock in socks}
        came = dict.fromkeys(sent, 0)  # bytes
        due.reverse()
        while len(found) < CONNECTIONS * ROUNDS:
            now_s = time.perf_counter()
            if due and due[-1][0] <= now_s:
                sock = socks[due.pop()[1]]
                sent[sock.fileno()].append(time.perf_counter())
                sock.sendall(_PING)
                continue
            for key, _ in selector.select(0.0005):
                assert isinstance(key.fileobj, socket.socket)
                came[key.fd] += len(key.fileobj.recv(4096))
                while came[key.fd] >= len(_PING):
                    came[key.fd] -= len(_PING)
                    found.append((time.perf_counter() - sent[key.fd].popleft()) * 1000)
    for sock in socks:
        sock.close()
    return found


def _at(ordered: list[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
