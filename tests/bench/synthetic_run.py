"""A complete run folder without a run: for measuring how fast a large one is judged, and how large a request is.

`python -m tests.bench.synthetic_run FOLDER [REQUESTS] [EPISODES]` writes one and judges it in a fresh process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.model.capability import Capability
from harness.model.faults import ProcessKill
from harness.model.history import Header
from harness.model.plan import Arrivals, Prompt
from harness.model.scenario import Limit, Load, Phases, Scenario
from harness.plan.make_plan import Drawn, TargetFacts, make_plan
from harness.store.folder import RunFolder
from harness.store.requests import write_requests

RATE_PER_S = 50.0
FAULT_S = 3.0  # users lose everything for that long
BEGIN_S = 12.5  # of the schedule, on the run's clock


def write_run(folder: Path, requests: int, episodes: int, seed: str) -> RunFolder:
    """Write header.json, plan.json, events.jsonl and requests.parquet of a run with that many requests."""
    drawn = _plan(requests, episodes, seed)
    run = RunFolder(folder)
    run.create()
    run.write_plan(drawn.plan, Header("synthetic", "0", None, "bench", "2000-01-01T00:00:00+00:00", 1000.0), {})
    run.arrivals.unlink()
    run.events.write_text("".join(f"{json.dumps(event)}\n" for event in _events(drawn)))
    write_requests(run.requests, _requests(drawn, np.random.default_rng(len(drawn.user.scheduled_us))))
    return run


def _plan(requests: int, episodes: int, seed: str) -> Drawn:
    each_s = requests / RATE_PER_S / (episodes + 1)
    scenario = Scenario(
        name="synthetic",
        load=Load(rate_per_s=RATE_PER_S, mix={"chat_stream": 0.7, "sentiment": 0.3}),
        phases=Phases(baseline_s=each_s, recovery_s=each_s),
        episodes=episodes,
        faults=(ProcessKill(),),
        observe={"recovery_s": Limit(max=5), "wrong_answers": Limit(max=0)},
    )
    prompts = {name: (Prompt(({"role": "user", "content": name},), 8, "yes"),) for name in ("chat", "sentiment")}
    replicas = {"primary": "synthetic", "standby": "synthetic"}
    return make_plan(scenario, TargetFacts("fake", frozenset(Capability), replicas, prompts), seed)


def _faults_s(drawn: Drawn) -> Sequence[float]:
    return [BEGIN_S + step.at_s for step in drawn.plan.steps if step.action == "inject"]


def _events(drawn: Drawn) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {"at_s": 0.0, "kind": "run_begin", "run_id": "synthetic"},
        {"at_s": BEGIN_S, "kind": "schedule_begin", "begin_s": BEGIN_S},
    ]
    for episode, at_s in enumerate(_faults_s(drawn), 1):
        fault = {"episode": episode, "fault": 0}
        found += [
            {"at_s": at_s, "kind": "fault_begin", **fault, "fault_kind": "process.kill", "on": "primary"},
            {"at_s": at_s + 0.01, "kind": "fault_proof", **fault, "proven": True, "evidence": "process 1 is gone"},
            {"at_s": at_s + 0.01, "kind": "fault_end", **fault},
            {"at_s": at_s + 0.5, "kind": "target.beat_missed", "replica": "primary", "missed": 1},
            {"at_s": at_s + 1.0, "kind": "target.isolated", "replica": "primary", "last_routed_s": at_s + 1.0},
            {"at_s": at_s + 2.5, "kind": "target.ready_green", "replica": "primary"},
            {"at_s": at_s + FAULT_S, "kind": "target.readmitted", "replica": "primary"},
        ]
    end_s = BEGIN_S + drawn.plan.duration_s
    for at_s in np.arange(BEGIN_S, end_s, 1.0):
        found.append({"at_s": float(at_s), "kind": "counters", "source": "gateway", "incarnation": "1"})
    found.append({"at_s": end_s + 1.0, "kind": "run_end", "interrupted": False, "how": "complete"})
    return sorted(found, key=lambda event: float(str(event["at_s"])))


def _requests(drawn: Drawn, rng: np.random.Generator) -> dict[str, Sequence[object]]:
    user: Arrivals = drawn.user
    n = len(user.scheduled_us)
    scheduled = np.asarray(user.scheduled_us) + round(BEGIN_S * 1e6)
    sent = scheduled + rng.gamma(2, 400, n).astype(np.int64)  # dispatch lag, below a millisecond
    first = sent + rng.lognormal(np.log(9e3), 0.4, n).astype(np.int64)
    done = first + rng.lognormal(np.log(25e3), 0.5, n).astype(np.int64)
    lost, lost_us = np.zeros(n, dtype=bool), sent + 900
    for at_s in _faults_s(drawn):
        hit = (done >= at_s * 1e6) & (sent < (at_s + FAULT_S) * 1e6)
        lost |= hit
        lost_us = np.where(hit, np.maximum(lost_us, round(at_s * 1e6) + 1), lost_us)
    stream = np.asarray(user.task) == 0
    gap = rng.lognormal(np.log(2e3), 0.4, n).astype(np.int64)
    ttft = first - sent + rng.integers(20, 900, n)
    tokens = rng.integers(2, 24, n)
    return {
        "lane": ["user"] * n,
        "index": np.arange(n),
        "task": [drawn.plan.tasks[task] for task in user.task],
        "scheduled_us": scheduled,
        "sent_us": sent,
        "first_byte_us": _unless(lost, first),
        "done_us": np.where(lost, lost_us, done),
        "outcome": np.where(lost, "refused", "ok").tolist(),
        "status": _unless(lost, np.full(n, 200)),
        "served_by": [None if gone else "primary" for gone in lost],
        "ttft_us": _unless(lost | ~stream, ttft),
        "gap_max_us": _unless(lost | ~stream, gap),
        "tokens": _unless(lost, tokens),
        "checked": (~lost).tolist(),
        "detail": ["ConnectionRefusedError" if gone else None for gone in lost],
    }


def _unless(missing: np.ndarray, values: np.ndarray) -> list[object]:
    return [None if gone else int(value) for gone, value in zip(missing, values, strict=True)]


def judge_here(folder: Path) -> None:
    """Judge and print what it took, imports and reports included."""
    begin_s = time.monotonic()
    from harness.session import judge_folder

    verdict = judge_folder(RunFolder(folder))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{verdict.outcome}: {verdict.reason}")
    print(f"{time.monotonic() - begin_s:.2f} s wall, {peak_mb:.0f} MB resident at most")


def main(arguments: list[str]) -> None:
    """Write a run folder and judge it in a fresh process."""
    if arguments[0] == "--judge":
        judge_here(Path(arguments[1]))
        return
    folder = Path(arguments[0])
    requests, episodes = (int(value) for value in (*arguments[1:], "1000000", "50")[:2])
    run = write_run(folder, requests, episodes, "synthetic")
    print(f"{run.requests.stat().st_size / requests:.1f} bytes a request in requests.parquet")
    begin_s = time.monotonic()
    subprocess.run([sys.executable, "-m", "tests.bench.synthetic_run", "--judge", str(folder)], check=True)
    print(f"{time.monotonic() - begin_s:.2f} s with the interpreter's start")


if __name__ == "__main__":
    main(sys.argv[1:])
