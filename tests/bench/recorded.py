"""Record a run with the real generator and the real store, against a server that is not a replica of anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.load.driver import LoadDriver
from harness.load.spec import LoadSpec
from harness.model.capability import Capability
from harness.model.event import Event
from harness.model.history import Header
from harness.model.plan import Prompt
from harness.model.scenario import Scenario
from harness.plan.arrivals import control_arrivals
from harness.plan.make_plan import Drawn, TargetFacts, make_plan
from harness.record.append import AppendLog
from harness.record.clock import SystemClock
from harness.record.recorder import Recorder
from harness.store.folder import RunFolder

_LEAD_S = 0.5  # between "ready" and the schedule's begin
_PROMPT = Prompt(({"role": "user", "content": "Say ok."},), 8, None)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A server process that ends with its stdin; what it prints, one JSON object a line."""

    process: subprocess.Popen[str]
    port: int

    def tell(self, value: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Mapping[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[Server]:
    """`python -m module`, for as long as the block lasts."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process, json.loads(process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        process.stdout.close()


def planned(scenario: Scenario, seed: str) -> Drawn:
    """As the planner plans it for a target with one replica."""
    prompts = {"chat": (_PROMPT,)}
    return make_plan(scenario, TargetFacts("bench", frozenset(Capability), {"primary": "scripted"}, prompts), seed)


@dataclass(frozen=True)
class Recorded:
    """A folder with its plan and its requests, and on which clock they lie."""

    folder: RunFolder
    origin_s: float  # monotonic
    begin_s: float  # monotonic, of the schedule

    def write_events(self, outages: Sequence[Mapping[str, float]]) -> None:
        """What the experiment would have written; one episode per outage, at the server's own moments."""
        recorder = Recorder(AppendLog(self.folder.events), SystemClock(), self.origin_s)
        begin_s = self.begin_s - self.origin_s
        faults = self.folder.read_plan().scenario.faults
        recorder.add(Event(0.0, "run_begin", {}))
        recorder.add(Event(begin_s, "schedule_begin", {"begin_s": begin_s}))
        for episode, outage in enumerate(outages, start=1):
            bad_s, good_s = outage["bad_s"] - self.origin_s, outage["good_s"] - self.origin_s
            which, fault = {"episode": episode, "fault": 0}, faults[0]
            recorder.add(Event(bad_s, "fault_begin", {**which, "fault_kind": fault.kind, "on": fault.on}))
            recorder.add(Event(bad_s, "fault_proof", {**which, "proven": True, "evidence": "the script's own log"}))
            recorder.add(Event(good_s, "fault_end", which))
        recorder.event("run_end", interrupted=False, how="complete")
        recorder.close()


def record(drawn: Drawn, port: int, path: Path, on_begin: Callable[[float], None]) -> Recorded:
    """Send the plan's load; `on_begin` is told, a little before, when on the monotonic clock the schedule begins."""
    clock = SystemClock()
    origin_s = clock.now()
    folder = RunFolder(path)
    folder.create()
    plan, load = drawn.plan, drawn.plan.scenario.load
    lanes = {"user": drawn.user, "control": control_arrivals(plan.duration_s)}
    folder.write_plan(plan, Header(path.name, "bench", None, "bench", clock.wall(), origin_s), lanes)
    spec = LoadSpec(
        base_url=f"http://127.0.0.1:{port}",
        log_path=str(folder.request_log),
        origin_monotonic_s=origin_s,
        run_id=path.name,
        deadline_s=load.deadline_s,
        tasks=drawn.tasks,
        lanes=lanes,
    )
    driver = LoadDriver(spec, path, clock, os.environ)
    try:
        driver.start()
        if not driver.wait_ready(clock.now() + 30):
            raise RuntimeError(driver.reason or "the load child was not ready in time")
        begin_s = clock.now() + _LEAD_S
        on_begin(begin_s)
        driver.begin("control", begin_s)
        driver.begin("user", begin_s)
        end_s = begin_s + plan.duration_s + load.deadline_s + 1.0
        while not driver.lane_done("user") and clock.now() < end_s:
            if not driver.alive():
                raise RuntimeError(driver.reason)
            clock.sleep(0.1)
        while clock.now() < begin_s + plan.duration_s:
            clock.sleep(0.1)
        driver.stop(0.5)
    finally:
        driver.close()
    return Recorded(folder, origin_s, begin_s)
