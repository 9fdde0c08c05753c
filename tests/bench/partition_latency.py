"""How long from the order to cut a replica off until the other container feels it?

Two containers of the target's image: one listens where the gateway dials, the other dials every few milliseconds and
says when it began and whether it got through. All clocks of one host are one. Effect: the begin of the first try that
did not get through, of those that began after the order.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import numpy as np

from harness.stack.containers.admin import ContainerAdmin
from harness.stack.containers.labelled import SERVICE
from harness.stack.containers.network import ContainerNetwork
from harness.stack.containers.project import LINK_PORTS, RUN
from harness.stack.partition import Cut
from tests.bench.figure import Figure, Goal, span

TRIALS = 40
GOALS = (Goal("partition_latency_ms_p95", "<=", 200.0, "ms"),)
IMAGE = "reliability-harness/target:local"
RUN_ID = "bench-partition"
SETTLE_S = 0.3
LISTEN = f"""
import socket
server = socket.create_server(("0.0.0.0", {LINK_PORTS["primary"]}))
while True:
    server.accept()[0].close()
"""
DIAL = f"""
import json, socket, time
address = (socket.gethostbyname("toxiproxy"), {LINK_PORTS["primary"]})
while True:
    begin_s, through = time.monotonic(), True
    try:
        socket.create_connection(address, timeout=0.05).close()
    except OSError:
        through = False
    print(json.dumps([begin_s, through]), flush=True)
    time.sleep(0.005)
"""


def figures() -> list[Figure]:
    with _two_containers() as engine:
        taken_ms = [_trial(engine, number) for number in range(1 + TRIALS)][1:]
    return [GOALS[0].figure(float(np.percentile(taken_ms, 95)), span(taken_ms))]


def _trial(engine: docker.DockerClient, number: int) -> float:
    network = ContainerNetwork(RUN_ID, ContainerAdmin(RUN_ID), None)  # type: ignore[arg-type]
    how = ("drop", "refuse")[number % 2]
    cut = Cut(f"trial-{number}", how, "gateway", ("primary",))  # type: ignore[arg-type]
    network.prepare(cut)
    since = int(time.time())
    ordered_s = time.monotonic()
    network.cut(cut)
    time.sleep(SETTLE_S)
    network.mend(cut)
    said = engine.containers.get(f"{RUN_ID}-gateway").logs(since=since).decode().splitlines()
    tries = [json.loads(line) for line in said if line.startswith("[")]
    felt_s = min(begin_s for begin_s, through in tries if not through and begin_s > ordered_s)
    time.sleep(SETTLE_S)
    print(f"{how}: felt after {(felt_s - ordered_s) * 1000:.0f} ms", file=sys.stderr, flush=True)
    return float(felt_s - ordered_s) * 1000


@contextmanager
def _two_containers() -> Iterator[docker.DockerClient]:
    engine = docker.from_env()
    labels = {RUN: RUN_ID}
    try:
        network = engine.networks.create(f"{RUN_ID}_app", labels=labels)
        for service, script in (("toxiproxy", LISTEN), ("gateway", DIAL)):
            made = engine.containers.create(
                IMAGE, ["python3", "-c", script], name=f"{RUN_ID}-{service}", labels={**labels, SERVICE: service}
            )
            network.connect(made, aliases=[service])
            made.start()
        time.sleep(1.0)
        yield engine
    finally:
        ContainerAdmin(RUN_ID).remove()
