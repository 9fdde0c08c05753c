"""Runs of the load child against a scripted server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.load.driver import LoadDriver
from harness.load.spec import LoadSpec
from harness.model.plan import Arrivals, Prompt, Task
from harness.record.clock import SystemClock
from harness.record.request_log import Done, NotSent, Record, read

from .scripted_server import ANSWER, ScriptedServer, scripted_server

CLOCK = SystemClock()
START_S = 30.0  # enough for a loaded machine


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as target:
        yield target


def make_spec(url: str, folder: Path, scripts: Sequence[str], gap_s: float = 0.002, **changes: Any) -> LoadSpec:
    """One request for each script, `gap_s` apart, in the user lane; a script named stream_… or drip is streamed."""
    prompts = [Prompt(({"role": "user", "content": script},), 8, ANSWER) for script in scripts]
    tasks = tuple(Task(name, name == "chat_stream", tuple(prompts)) for name in ("chat", "chat_stream"))
    streams = [int(script.startswith("stream") or script == "drip") for script in scripts]
    times = [round(i * gap_s * 1e6) for i in range(len(scripts))]
    values: dict[str, Any] = {
        "base_url": url,
        "log_path": str(folder / "requests.log"),
        "origin_monotonic_s": CLOCK.now(),
        "run_id": "r1",
        "deadline_s": 10.0,  # long: only what is meant to time out may do so on a loaded machine
        "tasks": tasks,
        "lanes": {"user": Arrivals(times, streams, list(range(len(scripts))))},
    }
    return LoadSpec(**(values | changes))


def wait_for(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    until_s = CLOCK.now() + limit_s
    while not condition():
        if CLOCK.now() > until_s:
            return False
        CLOCK.sleep(0.01)
    return True


@dataclass
class Run:
    """A finished run of the child."""

    spec: LoadSpec
    records: list[Record]

    def ended(self, index: int, lane: str = "user") -> Done:
        [record] = [r for r in self.records if isinstance(r, Done) and (r.lane, r.index) == (lane, index)]
        return record

    def accounted(self, lane: str = "user") -> list[int]:
        return sorted(r.index for r in self.records if isinstance(r, Done | NotSent) and r.lane == lane)


def start(spec: LoadSpec, folder: Path) -> LoadDriver:
    driver = LoadDriver(spec, folder, CLOCK, os.environ)
    driver.start()
    if not driver.wait_ready(CLOCK.now() + START_S):
        driver.close()
        pytest.fail(f"not ready: {driver.reason}")
    return driver


def run(spec: LoadSpec, folder: Path) -> Run:
    """All lanes at once, to the end of each."""
    driver = start(spec, folder)
    try:
        begin_s = CLOCK.now() + 0.05
        for lane in spec.lanes:
            driver.begin(lane, begin_s)
        assert wait_for(lambda: all(driver.lane_done(lane) for lane in spec.lanes))
        driver.stop(1.0)
        assert driver.reason == ""
    finally:
        driver.close()
    return Run(spec, list(read(Path(spec.log_path))))
