"""One connection, 1 GiB: how much of the speed is left through the proxy without a toxic? And does `bandwidth` keep its
rate?"""

from __future__ import annotations

import statistics
import sys
import time

from tests.bench.figure import Figure, Goal, span
from tests.bench.toxics_world import connected, world

BULK = Goal("toxics_bulk_ratio", ">=", 0.40)
BANDWIDTH = Goal("toxics_bandwidth_error", "<=", 1, "%")
GOALS = (BULK, BANDWIDTH)
PAIRS, SIZE = 3, 1 << 30
RATE_KB, LASTS_S = 1000, 10


def figures() -> list[Figure]:
    ratios = []
    with world("source") as one:
        for _ in range(PAIRS):
            direct, proxied = (_seconds(port, SIZE) for port in (one.direct, one.proxied))
            print(f"toxics_bulk: {SIZE / direct / 1e9:.2f} GB/s, {SIZE / proxied / 1e9:.2f} GB/s", file=sys.stderr)
            ratios.append(direct / proxied)
        one.toxic("bandwidth", rate=RATE_KB)
        took_s = _seconds(one.proxied, RATE_KB * 1000 * LASTS_S)
    error = abs(LASTS_S / took_s - 1) * 100
    return [BULK.figure(statistics.median(ratios), span(ratios)), BANDWIDTH.figure(error, f"{took_s:.4f} s")]


def _seconds(port: int, size: int) -> float:
    """To read so many bytes."""
    buffer = bytearray(1 << 20)
    begin_s = time.monotonic()
    with connected(port) as sock:
        while size > 0:
            got = sock.recv_into(buffer, min(size, len(buffer)))
            if not got:
                raise RuntimeError("the source ended")
            size -= got
    return time.monotonic() - begin_s
