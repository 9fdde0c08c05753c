"""How punctual is the load generator? `python -m tests.bench.open_loop [seconds] [rate]` prints one JSON object.

Dispatch lag is the time from when a request was due to when it was sent. Generator and server share the machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.load.driver import LoadDriver
from harness.load.spec import LoadSpec
from harness.model.plan import Arrivals, Prompt, Task
from harness.record.clock import SystemClock
from harness.record.request_log import Began, Done, NotSent, Sent, read

_LEAD_S = 0.2  # between "ready" and the first arrival
_PROMPT = Prompt(({"role": "user", "content": "Say ok."},), 8, None)


def measure(seconds: float = 60, rate: float = 1000, stream_share: float = 0.1) -> dict[str, Any]:
    """Poisson arrivals for `seconds` at `rate` a second against a trivial server; lags in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.trivial_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = json.loads(server.stdout.readline())["port"]
            spec = _spec(folder, f"http://127.0.0.1:{port}", _arrivals(seconds, rate, stream_share))
            before = _cpu_jiffies()
            started_s = _run(spec, folder, seconds)
            every, stolen = (after - begun for after, begun in zip(_cpu_jiffies(), before, strict=True))
            return _figures(spec) | {
                "child_start_s": round(started_s, 3),
                "load_average": os.getloadavg()[0],
                "cpu_stolen_share": round(stolen / every, 3),
            }
        finally:
            server.stdin.close()
            server.wait(10)
            server.stdout.close()


def _cpu_jiffies() -> tuple[int, int]:
    """All CPU time of this machine so far, and the part that the hypervisor gave to others."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields), fields[7]


def _arrivals(seconds: float, rate: float, stream_share: float) -> Arrivals:
    draw = random.Random(1)
    times: list[int] = []
    at_s = draw.expovariate(rate)
    while at_s < seconds:
        times.append(round(at_s * 1e6))
        at_s += draw.expovariate(rate)
    return Arrivals(times, [int(draw.random() < stream_share) for _ in times], [0] * len(times))


def _spec(folder: Path, url: str, arrivals: Arrivals) -> LoadSpec:
    return LoadSpec(
        base_url=url,
        log_path=str(folder / "requests.log"),
        origin_monotonic_s=SystemClock().now(),
        run_id="bench",
        deadline_s=2.0,
        tasks=(Task("chat", False, (_PROMPT,)), Task("chat_stream", True, (_PROMPT,))),
        lanes={"user": arrivals},
    )


def _run(spec: LoadSpec, folder: Path, seconds: float) -> float:
    clock = SystemClock()
    driver = LoadDriver(spec, folder, clock, os.environ)
    begun_s = clock.now()
    try:
        driver.start()
        if not driver.wait_ready(begun_s + 30):
            raise RuntimeError(driver.reason or "the load child was not ready in time")
        started_s = clock.now() - begun_s
        driver.begin("user", clock.now() + _LEAD_S)
        until_s = clock.now() + seconds + 10
        while not driver.lane_done("user") and driver.alive() and clock.now() < until_s:
            clock.sleep(0.1)
        driver.stop(2.0)
    finally:
        driver.close()
    return started_s


def _figures(spec: LoadSpec) -> dict[str, Any]:
    scheduled = spec.lanes["user"].scheduled_us
    begin_us = 0
    lags: list[float] = []  # milliseconds
    ended: set[int] = set()
    outcomes: dict[str, int] = {}
    for record in read(Path(spec.log_path)):
        match record:
            case Began(_, begin_us):
                pass
            case Sent(_, index, sent_us):
                lags.append((sent_us - begin_us - scheduled[index]) / 1000)
            case Done():
                ended.add(record.index)
                outcomes[record.outcome.value] = outcomes.get(record.outcome.value, 0) + 1
            case NotSent(_, index):
                ended.add(index)
                outcomes["not_sent"] = outcomes.get("not_sent", 0) + 1
    lags.sort()
    return {
        "accounted": ended == set(range(len(scheduled))),
        "scheduled": len(scheduled),
        "ended": len(ended),
        "outcomes": outcomes,
        "dispatch_lag_ms_p50": lags[len(lags) // 2],
        "dispatch_lag_ms_p99": lags[len(lags) * 99 // 100],
        "dispatch_lag_ms_p999": lags[len(lags) * 999 // 1000],
        "dispatch_lag_ms_max": lags[-1],
    }


if __name__ == "__main__":
    print(json.dumps(measure(*(float(argument) for argument in sys.argv[1:3])), indent=2))
