"""Latency by phase, and the error budget over time: every good and every lost request is in them once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from harness.model.verdict import Verdict
from tests.fake_run import verdict_of

KILL = "episodes: 2\nfaults: [{kind: process.kill, on: primary, at_s: 1}]\n"


def test_every_good_request_is_counted_once_in_its_phase(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, KILL)
    columns = verdict.latency_by_phase
    assert {name: sum(counts) for name, counts in columns.items() if name != "edges_ms"} == {
        one.phase: one.outcomes["ok"] for one in verdict.phases
    }
    edges = columns["edges_ms"]
    assert all(len(counts) == len(edges) - 1 for name, counts in columns.items() if name != "edges_ms")
    assert all(1.14 < high / low < 1.17 for low, high in pairwise(edges))


def test_the_median_lies_in_the_bin_where_half_of_the_requests_are_reached(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, KILL)
    baseline = next(one for one in verdict.phases if one.phase == "baseline")
    counts, edges = verdict.latency_by_phase["baseline"], verdict.latency_by_phase["edges_ms"]
    reached = [sum(counts[: i + 1]) for i in range(len(counts))]
    at = next(i for i, n in enumerate(reached) if n * 2 >= sum(counts))
    assert baseline.latency_ms_p50 is not None
    assert edges[at] * 0.999 <= baseline.latency_ms_p50 <= edges[at + 1] * 1.001


def test_the_budget_at_the_end_is_what_all_lost_requests_cost(tmp_path: Path) -> None:
    verdict: Verdict = verdict_of(tmp_path, KILL)
    used = verdict.series["budget_used_share"]
    assert used == sorted(used)
    budget = (1 - verdict.series["budget_objective"][0]) * verdict.run["rate_per_s"] * 30 * 86_400
    assert abs(used[-1] - verdict.sli["lost"] / budget) <= 1e-5 * used[-1]
    assert verdict.series["budget_page_share"] == [0.02]


def test_the_objective_of_the_budget_is_the_one_that_the_scenario_claims(tmp_path: Path) -> None:
    claimed = verdict_of(tmp_path / "a", KILL + "claim: {baseline_success_rate: {min: 0.9}}\n")
    assert claimed.series["budget_objective"] == [0.9]
    assert verdict_of(tmp_path / "b", KILL).series["budget_objective"] == [0.999]
