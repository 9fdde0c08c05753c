"""What is left of a hardened replica under three times the load that it can bear?

The token cost makes it a service of about 30 requests a second; what it bears is measured first. Users come as a
Poisson process, want a whole, right answer within the deadline that scenarios have, and hang up when it has passed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

from tests.bench.figure import Figure, Goal, span
from tests.bench.replica_client import Offered, Question, Tally, closed_loop, health_latencies_s, open_loop, percentile
from tests.bench.replica_process import plain_loop, replica

HEALTH = Goal("replica_health_ms_p99_overload", "<=", 100, "ms")
GOODPUT = Goal("replica_goodput_overload_over_capacity", ">=", 0.9)
GOALS = (HEALTH, GOODPUT)
PLACES, OVERLOAD = 16, 3
TOKEN_COST_MS = 30  # and about 3 ms of computing: 16 requests in 16 rounds of 33 ms
PAIRS, SECONDS, SETTLE_S, DEADLINE_S = 3, 10.0, 3.0, 2.0
HEALTH_EVERY_S = 0.02


def figures() -> list[Figure]:
    ratios, healths_s = [], list[float]()
    with plain_loop() as plain:
        questions = plain.questions
    with replica("hardened", "--token-cost-ms", str(TOKEN_COST_MS), "--max-active", str(PLACES)) as one:
        bears = asyncio.run(closed_loop(one.port, questions, 2 * PLACES, 4)).right / 4
        print(f"replica_overload: {bears:.1f}/s is what it can do", file=sys.stderr)
        for number in range(PAIRS):
            goodput: dict[int, float] = {}
            for times in (1, OVERLOAD):
                tally, health_s = asyncio.run(_offer(one.port, questions, times * bears, number))
                goodput[times] = tally.right / SECONDS
                p50, p99 = (percentile(tally.latencies_s, share) for share in (0.5, 0.99))
                ends = f"{goodput[times]:.1f}/s good of {tally.ends}; {p50:.2f} s p50, {p99:.2f} s p99"
                print(f"  {times} × capacity: {ends}", file=sys.stderr)
                healths_s += health_s if times == OVERLOAD else []
            ratios.append(goodput[OVERLOAD] / goodput[1])
    p50_ms, p99_ms = (percentile(healths_s, share) * 1000 for share in (0.5, 0.99))
    return [
        HEALTH.figure(p99_ms, f"p50 {p50_ms:.1f}, largest {max(healths_s) * 1000:.1f} ms of {len(healths_s)}"),
        GOODPUT.figure(statistics.median(ratios), span(ratios)),
    ]


async def _offer(port: int, questions: list[Question], rate: float, seed: int) -> tuple[Tally, list[float]]:
    stop = asyncio.Event()
    health = asyncio.create_task(health_latencies_s(port, HEALTH_EVERY_S, stop))
    tally = await open_loop(port, questions, Offered(rate, SETTLE_S, SECONDS, DEADLINE_S, seed))
    stop.set()
    return tally, await health


if __name__ == "__main__":
    print(*figures(), sep="\n")
