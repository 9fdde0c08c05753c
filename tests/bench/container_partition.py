"""How soon does a black hole between gateway and primary act, as the gateway's container itself sees it?

A program inside that container dials the primary's link every few milliseconds and says when each attempt began and
what became of it; the clock is the host's. From the order to the begin of the first attempt that is not answered.
"""

from __future__ import annotations

import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness.stack.base import RunContext
from harness.stack.compose.stack import ComposeStack
from harness.stack.containers.project import LINK_PORTS, project_name
from harness.stack.partition import Cut
from tests.bench.container_run import ROOT
from tests.bench.container_takeover import quantile
from tests.bench.figure import Figure, Goal

TRIALS = 20
READY_S = 150.0
SEEN_S = 5.0
GOALS = (Goal("container_partition_latency_ms_p95", "<=", 200, "ms"),)
DIAL = """
import socket, sys, time
while True:
    begin_s, ok = time.monotonic(), 1
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.3).close()
    except OSError:
        ok = 0
    print(begin_s, ok, flush=True)
    time.sleep(0.005)
"""


class Dialler:
    """Attempts of the gateway's container, as they come."""

    def __init__(self, run_id: str) -> None:
        address = socket_address(run_id)
        command = ["docker", "exec", f"{project_name(run_id)}-gateway-1", "python3", "-c", DIAL, *address]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._seen: queue.Queue[tuple[float, bool]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def first(self, ok: bool, since_s: float) -> float:
        """When the first such attempt after that time began."""
        while True:
            begin_s, worked = self._seen.get(timeout=SEEN_S)
            if begin_s >= since_s and worked == ok:
                return begin_s

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            begin_s, ok = line.split()
            self._seen.put((float(begin_s), ok == "1"))


def socket_address(run_id: str) -> tuple[str, str]:
    """Where the gateway dials its primary: by number, since a look-up of the name would be measured as well."""
    name = f"{project_name(run_id)}-toxiproxy-1"
    form = f'{{{{(index .NetworkSettings.Networks "{project_name(run_id)}_app").IPAddress}}}}'
    said = subprocess.run(["docker", "inspect", "-f", form, name], capture_output=True, text=True, check=True)
    return said.stdout.strip(), str(LINK_PORTS["primary"])


def figures(trials: int = TRIALS) -> list[Figure]:
    model = Path(os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model").resolve()
    with tempfile.TemporaryDirectory() as name:
        run = RunContext(f"bench-partition-{os.getpid()}", Path(name), time.monotonic())
        stack = ComposeStack(model)
        try:
            stack.up(run)
            _wait_until_ready(stack)
            found_ms = _latencies_ms(stack, run.run_id, trials)
        finally:
            stack.down()
    print(f"container partition: {[round(one) for one in sorted(found_ms)]} ms", file=sys.stderr)
    return [GOALS[0].figure(quantile(found_ms, 0.95), f"median {statistics.median(found_ms):.0f} of {len(found_ms)}")]


def _latencies_ms(stack: ComposeStack, run_id: str, trials: int) -> list[float]:
    dialler, found = Dialler(run_id), []
    try:
        for number in range(trials):
            cut = Cut(f"trial-{number}", "drop", replicas=("primary",))
            stack.partitions.prepare(cut)
            dialler.first(True, time.monotonic())
            ordered_s = time.monotonic()
            stack.partitions.cut(cut)
            found.append(1000 * (dialler.first(False, ordered_s) - ordered_s))
            stack.partitions.mend(cut)
            dialler.first(True, time.monotonic())
    finally:
        dialler.process.kill()
        dialler.process.wait()
    return found


def _wait_until_ready(stack: ComposeStack) -> None:
    end_s = time.monotonic() + READY_S
    while (missing := stack.ready()) is not None:
        if time.monotonic() > end_s:
            raise RuntimeError(f"the stack was not ready: {missing}")
        time.sleep(0.2)
