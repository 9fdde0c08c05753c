"""How long from a replica's start until it is ready, over a bare script that imports torch and transformers and loads?

In pairs, one after the other, so that a machine that is busy for a while is so for both; the figure is the median of
the pairs' ratios. Both run with warm files: a first pair is not counted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.bench.bench_replica import ROOT, BenchReplica, model
from tests.bench.figure import Figure, Goal, span

PAIRS = 5
GOALS = (Goal("start_to_ready_ratio", "<=", 1.3),)
BARE = """
import sys
import torch
import transformers
folder = sys.argv[1]
transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto")
print("loaded", flush=True)
sys.stdin.read()
"""


def figures() -> list[Figure]:
    ratios = [_ratio(number) for number in range(1 + PAIRS)][1:]
    return [GOALS[0].figure(statistics.median(ratios), span(ratios))]


def _ratio(number: int) -> float:
    bare_s, replica_s = _bare_s(), _replica_s()
    print(f"pair {number}: bare {bare_s:.2f} s, replica {replica_s:.2f} s", file=sys.stderr, flush=True)
    return replica_s / bare_s


def _bare_s() -> float:
    begin_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", BARE, str(model())],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as script:
        assert script.stdout is not None
        if script.stdout.readline() != b"loaded\n":
            raise RuntimeError("the bare script could not load the model")
        return time.monotonic() - begin_s


def _replica_s() -> float:
    begin_s = time.monotonic()
    with BenchReplica() as replica:
        replica.wait_ready()
        return time.monotonic() - begin_s


if __name__ == "__main__":
    print(figures())
