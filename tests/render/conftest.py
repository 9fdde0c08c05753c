"""Verdicts to render: made by hand, exact, the same every time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.model.request import Outcome
from harness.model.verdict import (
    Advice,
    EpisodeResult,
    Estimate,
    Finding,
    Interval,
    LogExcerpt,
    LogLine,
    PhaseResult,
    Stages,
    Verdict,
    VerdictOutcome,
)
from harness.render.html import to_html

GOLDEN = Path(__file__).parent.parent / "golden"
HOSTILE = '<script>alert("1")</script> | $x^2$ `code` ]]> & \x00\x1b[31m\ud800 \U0001f4a5 https://example.org/x.js'


def requests_series(bins: int, bin_s: float, faults: list[float], outage_s: float) -> dict[str, list[Any]]:
    """Twenty requests a second; each fault loses what falls into its outage, refused first, then too late."""
    series: dict[str, list[Any]] = {"t_s": [], "bin_s": [], **{name.value: [] for name in Outcome}}
    series |= {"latency_ms_p50": [], "latency_ms_p99": [], "success_rate": [], "budget_used_share": []}
    series |= {"budget_objective": [0.999], "budget_page_share": [0.02]}
    lost = 0
    for index in range(bins):
        t_s = index * bin_s
        total = round(20 * bin_s + 3 * math.sin(index * 1.7) + 2 * math.sin(index * 0.37))
        since = min((t_s - fault for fault in faults if t_s >= fault), default=1e9)
        bad = {name.value: 0 for name in Outcome}
        if since < outage_s:
            bad["refused"] = total if since < outage_s * 0.6 else total // 2
            bad["timeout"] = (total - bad["refused"]) // 2
            bad["truncated"] = 1 if since < bin_s and bad["refused"] < total else 0
        good = total - sum(bad.values())
        wave = 1 + 0.1 * math.sin(index * 0.9)
        slow = 6 / (1 + since / 4) if since >= outage_s else 8
        for name, n in (bad | {"ok": good}).items():
            series[name].append(n)
        lost += sum(bad.values())
        series["budget_used_share"].append(lost / 51_840)
        series["t_s"].append(t_s)
        series["bin_s"].append(bin_s)
        series["latency_ms_p50"].append(84 * wave if good else None)
        series["latency_ms_p99"].append(min(1950.0, 190 * wave * (1 + slow)) if good else None)
        series["success_rate"].append(good / total if total else None)
    return series


def marks_of(episodes: tuple[EpisodeResult, ...]) -> tuple[dict[str, Any], ...]:
    marks: list[dict[str, Any]] = []

    def add(kind: str, begin_s: float, end_s: float, label: str, episode: int) -> None:
        marks.append({"kind": kind, "begin_s": begin_s, "end_s": end_s, "label": label, "episode": episode})

    for episode in episodes:
        fault_s = episode.fault_begin_s
        assert fault_s is not None
        fault_end_s = fault_s if episode.fault_end_s is None else episode.fault_end_s
        add("phase", episode.begin_s, fault_s, "baseline", episode.number)
        add("phase", fault_s, fault_end_s, "fault", episode.number)
        add("phase", fault_end_s, episode.end_s, "recovery", episode.number)
        add("fault", fault_s, fault_end_s, episode.faults[0], episode.number)
        for name in ("detect", "isolate", "restore", "verify"):
            moment = getattr(episode.stages, f"{name}_s")
            if moment is not None:
                add(name, fault_s + moment, fault_s + moment, name, episode.number)
        if episode.recovery_s and episode.recovery_s.high is not None:
            moment = fault_s + episode.recovery_s.high
            add("recovered", moment, moment, "recovered", episode.number)
    return tuple(marks)


def episode(number: int, begin_s: float = 0.0, **changes: Any) -> EpisodeResult:
    """An episode of 60 s with its fault after 20 s, recovered after 6.3 to 6.4 s."""
    usual = EpisodeResult(
        number=number,
        faults=("process.kill on primary",),
        begin_s=begin_s,
        fault_begin_s=begin_s + 20,
        fault_end_s=begin_s + 25.5,
        end_s=begin_s + 60,
        proven=True,
        proof="SIGKILL to 4121, exit status -9, restart count 0 to 1",
        valid=True,
        invalid_reason="",
        requests=1204,
        lost={"refused": 80, "timeout": 38, "truncated": 2},
        lost_requests=120,
        wrong_answers=0,
        first_good_s=Interval(3.12, 3.21),
        recovery_s=Interval(6.31, 6.42),
        stages=Stages(0.52, 1.61, 5.2, 6.1),
        latency_ms_p99=812.4,
        dispatch_lag_ms_p99=4.2,
    )
    return replace(usual, **changes)


def phase(name: str, seconds: float, good: int, lost: dict[str, int]) -> PhaseResult:
    total = good + sum(lost.values())
    latencies = (84.2, 142.0, 191.3, 31.4, 88.0, 61.5, 4.2)
    return PhaseResult(name, seconds, total, {"ok": good, **lost}, good / total, *latencies)


def failed() -> Verdict:
    """Two episodes, one too slow and with wrong answers."""
    second = episode(
        2, 60.0, faults=("weights.corrupt on any",), proof="3 altered bytes read back from the serving process",
        lost={"wrong_answer": 3, "refused": 4}, lost_requests=7, wrong_answers=3,
        first_good_s=Interval(0.4, 0.41), recovery_s=Interval(2.1, 2.3), stages=Stages(detect_s=0.9, restore_s=1.8),
    )  # fmt: skip
    episodes = (episode(1), second)
    lost = {"wrong_answer": 3, "refused": 84, "timeout": 38, "truncated": 2}
    series = requests_series(120, 1.0, [20.0], 6.4)
    for at, n in ((80, 1), (81, 2)):
        series["wrong_answer"][at] = n
        series["refused"][at] = 2
    return Verdict(
        outcome=VerdictOutcome.FAIL,
        reason="Episode 1 recovered after 6.3–6.4 s, more than 5 s, and episode 2 gave 3 wrong answers.",
        seed="7f3a",
        scenario="kill-primary",
        hypothesis="If the primary dies, users are served again within 5 s and nobody gets a wrong answer.",
        stack="local",
        run={
            "run_id": "20261120T174113-kill-primary", "wall_begin": "2026-11-20T17:41:13Z", "version": "0.1.0",
            "commit": "52ad553f9", "host": "bench-3", "duration_s": 123.4, "deadline_s": 2.0, "rate_per_s": 20.0,
            "replay": "harness run scenarios/kill-primary.yaml --seed 7f3a",
        },
        sli={
            "scheduled": 2410, "outcomes": {"ok": 2281, **lost, "http_error": 0, "deadline_missed": 0, "not_sent": 0,
            "in_flight_at_end": 2}, "eligible": 2408, "good": 2281, "lost": 127, "wrong_answers": 3,
            "checked_answers": 802,
            "success_rate": 2281 / 2408, "time_availability": {"low": 0.9289, "high": 0.9312},
            "noise_floor_ms_p99": 6.2, "target_received": {"incarnations": 2, "received": 2322},
        },
        estimates={
            "success_rate": Estimate(2281 / 2408, 0.8811, 0.9712, 0.95, "outage-level bootstrap", 2),
            "recovery_s_p50": Estimate(None, None, None, 0.95, "needs at least 5 episodes, there are 2", 2),
            "latency_ms_p99": Estimate(191.3, 187.0, None, 0.95, "order statistics", 2281),
        },
        phases=(phase("baseline", 40, 803, {}), phase("fault", 8, 60, {"refused": 84, "wrong_answer": 3}),
                phase("recovery", 72, 1418, {"timeout": 38, "truncated": 2})),
        episodes=episodes,
        findings=(
            Finding("observe.lost_requests", "at most 200 lost requests in every episode", VerdictOutcome.PASS,
                    "The most was 120, in episode 1.", {"episodes": [120, 7], "max": 200}),
            Finding("observe.recovery_s", "recovery_s at most 5 in every episode", VerdictOutcome.FAIL,
                    "Episode 1 recovered after 6.3–6.4 s; the gateway needed 5 missed beats, not 3.",
                    {"episode": 1, "recovery_s": Interval(6.31, 6.42).__dict__, "max": 5,
                     "requests": list(range(400, 460))}),
            Finding("observe.wrong_answers", "no wrong answer in any episode", VerdictOutcome.FAIL,
                    "Episode 2 gave 3 wrong answers from replica-2.",
                    {"episode": 2, "requests": [1611, 1630, 1644], "served_by": "replica-2"}),
            Finding("dispatch_lag", "the load generator kept up", VerdictOutcome.PASS, "Dispatch lag p99 is 4 ms.",
                    {"dispatch_lag_ms_p99": 4.2, "limit_ms": 50}),
        ),
        series=series,
        marks=marks_of(episodes),
        limits=("Two episodes resolve no percentile of the recovery time: p50 needs 5.",
                "Isolate and verify of episode 2 are not observable on the stack “local”.",
                "Nothing was learned about hosts, disks or networks that fail: only processes did."),
        recompute='import pandas as pd\n\nr = pd.read_json("requests.jsonl", lines=True).query("lane == \'user\'")\n'
        'eligible = r[~r.outcome.isin(["not_sent", "in_flight_at_end"])]\n'
        'print(eligible.outcome.value_counts(), (eligible.outcome == "ok").mean())\n',
        runbook=(
            Advice("observe.recovery_s", VerdictOutcome.FAIL, "Episode 1 recovered after 6.3–6.4 s.",
                   "In episode 1 users waited longest for the stage restore.", "Be ready sooner."),
            Advice("observe.wrong_answers", VerdictOutcome.FAIL, "Episode 2 gave 3 wrong answers.",
                   "In episode 2, weights.corrupt on any: no detector fired.", "Check what is served."),
        ),
        latency_by_phase={"edges_ms": [50, 100, 200, 400], "baseline": [500, 300, 3], "fault": [0, 0, 0],
                          "recovery": [700, 600, 118]},
        logs=(
            LogExcerpt(1, (LogLine(-0.2, "gateway.err.log", "all is well"), LogLine(0.52, "gateway.err.log", "a beat")),
                       "2 of 9 lines"),
            LogExcerpt(2, (), "no times in proxy.out.log"),
        ),
    )  # fmt: skip


def passed() -> Verdict:
    """One episode in which nothing was lost."""
    calm = episode(1, lost={}, lost_requests=0, first_good_s=None, recovery_s=None, stages=Stages(0.5, 0.9, 5.2, 6.1))
    base = failed()
    return replace(
        base,
        outcome=VerdictOutcome.PASS,
        reason="No user lost a request while the primary was killed.",
        sli={"scheduled": 1204, "outcomes": {"ok": 1204}, "eligible": 1204, "good": 1204, "lost": 0,
             "wrong_answers": 0, "checked_answers": 361, "success_rate": 1.0, "time_availability": 1.0,
             "target_received": None},
        episodes=(calm,),
        findings=tuple(replace(f, outcome=VerdictOutcome.PASS, reason="It holds.") for f in base.findings),
        phases=(phase("baseline", 20, 400, {}), phase("fault", 6, 110, {}), phase("recovery", 34, 694, {})),
        series=requests_series(60, 1.0, [], 0.0),
        marks=marks_of((calm,)),
        runbook=(),
        logs=(),
    )  # fmt: skip


def unproven() -> Verdict:
    """A fault of which nobody can say that it happened."""
    vague = episode(
        1, proven=False, proof="no byte went through the faulted proxy", valid=False,
        invalid_reason="no request reached the faulted part", recovery_s=Interval(12.0, None),
        first_good_s=Interval(12.0, None), stages=Stages(), fault_end_s=None,
    )  # fmt: skip
    finding = Finding(
        "fault_proof", "every fault took effect", VerdictOutcome.INCONCLUSIVE,
        "The fault of episode 1 cannot be shown to have taken effect.", {"bytes_through_proxy": 0, "episode": 1},
    )  # fmt: skip
    reason = "The fault of episode 1 cannot be shown to have taken effect."
    return replace(
        failed(), outcome=VerdictOutcome.INCONCLUSIVE, reason=reason, episodes=(vague,), findings=(finding,),
        marks=marks_of((vague,)),
    )  # fmt: skip


def empty() -> Verdict:
    """A run that ended before a request was sent."""
    return Verdict(
        outcome=VerdictOutcome.INCONCLUSIVE, reason="The stack did not come up: no request was sent.", seed="0001",
        scenario="kill-primary", hypothesis="", stack="compose", run={}, sli={"scheduled": 0, "eligible": 0},
        estimates={},
        phases=(), episodes=(), findings=(), series={}, marks=(), limits=(), recompute="",
    )  # fmt: skip


def large() -> Verdict:
    """Fifty episodes and a thousand bins: the largest report there is."""
    episodes = tuple(
        episode(n, (n - 1) * 60.0, recovery_s=Interval(4 + (n * 7 % 50) / 10, 4.1 + (n * 7 % 50) / 10),
                stages=Stages(0.5, 1.2, 3 + (n * 7 % 50) / 12, 3.6 + (n * 7 % 50) / 11))
        for n in range(1, 51)
    )  # fmt: skip
    series = requests_series(1000, 3.0, [e.begin_s + 20 for e in episodes], 7.0)
    return replace(failed(), episodes=episodes, series=series, marks=marks_of(episodes))


def hostile() -> Verdict:
    """Every text of the verdict tries to break out of its place."""
    base = failed()
    bad = replace(base.episodes[0], faults=(HOSTILE,), proof=HOSTILE, valid=False, invalid_reason=HOSTILE)
    return replace(
        base, reason=HOSTILE, seed=HOSTILE, scenario=HOSTILE, hypothesis=HOSTILE, stack=HOSTILE, recompute=HOSTILE,
        run={"id": HOSTILE, "replay": HOSTILE, HOSTILE: HOSTILE}, sli={**base.sli, HOSTILE: HOSTILE},
        estimates={HOSTILE: Estimate(None, None, None, 0.95, HOSTILE, 0)}, episodes=(bad,), limits=(HOSTILE,),
        findings=(Finding(HOSTILE, HOSTILE, VerdictOutcome.FAIL, HOSTILE, {HOSTILE: [HOSTILE]}),),
        phases=(replace(base.phases[0], phase=HOSTILE, outcomes={HOSTILE: 1}),),
        marks=tuple({**mark, "label": HOSTILE} for mark in base.marks),
        runbook=(Advice(HOSTILE, VerdictOutcome.FAIL, HOSTILE, HOSTILE, HOSTILE),),
        latency_by_phase={"edges_ms": [50, 100, 200], HOSTILE: [1, 2]},
        logs=(LogExcerpt(1, (LogLine(0.1, HOSTILE, HOSTILE),), HOSTILE),),
    )  # fmt: skip


SAMPLES: dict[str, Callable[[], Verdict]] = {
    "pass": passed,
    "fail": failed,
    "inconclusive": unproven,
    "empty": empty,
    "large": large,
    "hostile": hostile,
}


@pytest.fixture(params=sorted(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Verdict:
    """Each of the sample verdicts in turn."""
    return SAMPLES[request.param]()


@cache
def _page(name: str) -> str:
    return to_html(SAMPLES[name]())


@pytest.fixture(params=sorted(SAMPLES))
def page(request: pytest.FixtureRequest) -> str:
    """The page of each of the sample verdicts in turn; drawn once for all tests."""
    return _page(request.param)


@pytest.fixture
def pages() -> Callable[[str], str]:
    """The page of a sample verdict by name; drawn once for all tests."""
    return _page


@pytest.fixture
def verdicts() -> dict[str, Callable[[], Verdict]]:
    """The sample verdicts by name."""
    return SAMPLES


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare with a file in tests/golden; UPDATE_GOLDEN=1 writes the file instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs; if that is wanted: UPDATE_GOLDEN=1"

    return compare
