"""Restarts are bounded in any window, and free again when it has passed."""

from __future__ import annotations

from target_service.replica.restart_budget import RestartBudget


def test_one_more_than_the_budget_is_refused_and_allowed_again_later() -> None:
    budget = RestartBudget(2, window_s=60)
    assert [budget.take(now_s) for now_s in (0, 10, 20, 59, 60, 61, 70)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_without_a_budget_nothing_is_started_again() -> None:
    assert not RestartBudget(0, window_s=60).take(0)
