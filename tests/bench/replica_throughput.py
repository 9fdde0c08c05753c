"""What does batching win, and what do the mechanisms cost? 16 users, 16 tokens each, over HTTP, no token cost.

The hardened replica, the fragile one and the model in a plain loop take turns, so that what else the machine does hits
all three; the median of the rounds' ratios counts. Where the CPU time goes is printed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from tests.bench.figure import Figure, Goal, span
from tests.bench.replica_client import Question, closed_loop, percentile
from tests.bench.replica_process import ReplicaProcess, plain_loop, replica

OVER_PLAIN = Goal("replica_requests_over_plain_loop", ">=", 2)
OVER_FRAGILE = Goal("replica_hardened_over_fragile", ">=", 0.9)
GOALS = (OVER_PLAIN, OVER_FRAGILE)
ROUNDS, SECONDS, USERS = 6, 2.5, 16
FREE = ("--token-cost-ms", "0")


def figures() -> list[Figure]:
    over_plain, over_fragile = [], []
    with plain_loop() as plain, replica("hardened", *FREE) as hardened, replica("fragile", *FREE) as fragile:
        for one in (hardened, fragile):
            asyncio.run(closed_loop(one.port, plain.questions, USERS, 0.5))
        for number in range(ROUNDS):
            alone, batched = plain.requests_per_s(SECONDS), plain.requests_per_s(1, batch=USERS)
            # Whoever comes first must not always be the same.
            order = (hardened, fragile) if number % 2 else (fragile, hardened)
            rates = {one: _requests_per_s(one, plain.questions) for one in order}
            over_plain.append(rates[hardened] / alone)
            over_fragile.append(rates[hardened] / rates[fragile])
            served = f"{rates[hardened]:.0f}/s hardened, {rates[fragile]:.0f}/s fragile"
            bare = f"{alone:.0f}/s in a plain loop, {batched:.0f}/s in batches without a server"
            print(f"replica_throughput: {bare}, {served}", file=sys.stderr)
    return [
        goal.figure(statistics.median(ratios), span(ratios))
        for goal, ratios in ((OVER_PLAIN, over_plain), (OVER_FRAGILE, over_fragile))
    ]


def _requests_per_s(one: ReplicaProcess, questions: list[Question]) -> float:
    before, client_s, begin_s = one.cpu_s(), time.process_time(), time.monotonic()
    tally = asyncio.run(closed_loop(one.port, questions, USERS, SECONDS))
    took_s = time.monotonic() - begin_s
    if tally.right != sum(tally.ends.values()):
        raise RuntimeError(f"not every answer is right: {tally.ends}")
    costs_ms = [(time.process_time() - client_s) * 1000, *((s - before[pid]) * 1000 for pid, s in one.cpu_s().items())]
    shares = " + ".join(f"{cost / tally.right:.2f}" for cost in costs_ms)
    p99_ms = percentile(tally.latencies_s, 0.99) * 1000
    print(f"  CPU ms a request, client + replica's processes: {shares}; p99 {p99_ms:.0f} ms", file=sys.stderr)
    return tally.right / took_s


if __name__ == "__main__":
    print(*figures(), sep="\n")
