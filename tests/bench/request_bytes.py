"""How large is a run on the disk? A minute at 50 requests a second, half of them streams, as the store writes it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from harness.model.scenario import Load, Phases, Scenario
from tests.bench.figure import Figure, Goal
from tests.bench.recorded import planned, record, serving

GOALS = (Goal("request_bytes", "<=", 30, "bytes"),)


def figures() -> list[Figure]:
    scenario = Scenario(
        name="a-minute",
        load=Load(rate_per_s=50, mix={"chat": 1, "chat_stream": 1}),
        phases=Phases(baseline_s=60),
    )
    drawn = planned(scenario, "request-bytes")
    with tempfile.TemporaryDirectory() as name:
        with serving("tests.bench.trivial_server") as server:
            recorded = record(drawn, server.port, Path(name) / "run", lambda begin_s: None)
        recorded.write_events([])
        history = recorded.folder.read()
        size = recorded.folder.requests.stat().st_size
    users = int(np.count_nonzero(np.asarray(history.requests["lane"], dtype=object) == "user"))
    rows = len(history.requests["lane"])
    print(f"request_bytes: {size} bytes, {users} requests of users, {rows} records in all", file=sys.stderr)
    # The control lane's records are there too: they count as cost, not as requests.
    return [GOALS[0].figure(size / users, f"{users} requests; {size / rows:.1f} per record, control lane included")]
