"""The charts over time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from harness.model.verdict import Verdict
from harness.render.svg import Canvas
from harness.render.timeline import latency_chart, requests_chart

Verdicts = dict[str, Callable[[], Verdict]]
WIDE = Canvas("x", 1000, 270)


def test_each_outcome_that_occurred_is_drawn_in_its_own_pattern(verdicts: Verdicts) -> None:
    text = requests_chart(verdicts["fail"](), WIDE)
    assert set(re.findall(r"url\(#pattern-([a-z_]+)\)", text)) == {"ok", "refused", "timeout", "wrong_answer"}


def test_fault_windows_are_labelled_where_there_is_room_and_numbered_where_there_is_little(verdicts: Verdicts) -> None:
    assert ">1 process.kill on primary</text>" in requests_chart(verdicts["fail"](), WIDE)
    assert ">1 process.kill on primary</text>" in latency_chart(verdicts["fail"](), WIDE)
    crowded = requests_chart(verdicts["large"](), WIDE)
    assert "process.kill" not in crowded
    assert ">7</text>" in crowded


def test_the_deadline_is_drawn_only_when_the_run_has_one(verdicts: Verdicts) -> None:
    verdict = verdicts["fail"]()
    assert ">deadline</text>" in latency_chart(verdict, WIDE)
    assert ">deadline</text>" not in latency_chart(replace(verdict, run={}), WIDE)


def test_a_single_good_bin_between_two_gaps_is_a_dot(verdicts: Verdicts) -> None:
    verdict = verdicts["fail"]()
    bins = len(verdict.series["t_s"])
    alone = [200.0 if index == 5 else None for index in range(bins)]
    text = latency_chart(replace(verdict, marks=(), series={**verdict.series, "latency_ms_p99": alone}), WIDE)
    assert text.count("<use ") == 1


def test_a_run_in_which_nothing_was_ever_good_can_be_drawn(verdicts: Verdicts) -> None:
    verdict = verdicts["fail"]()
    nothing = [None] * len(verdict.series["t_s"])
    series = {**verdict.series, "latency_ms_p99": nothing, "latency_ms_p50": nothing}
    assert "Latency over time" in latency_chart(replace(verdict, series=series, run={}), WIDE)


def test_bins_without_a_request_can_be_drawn(verdicts: Verdicts) -> None:
    verdict = verdicts["fail"]()
    series = {name: [0] * 120 if name not in ("t_s", "bin_s") else column for name, column in verdict.series.items()}
    assert "pattern" not in requests_chart(replace(verdict, series=series), WIDE)
