"""Experiments as Python tests: `pytest scenarios/examples/python --harness-stack fake`, or local, or compose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_users_are_served_again_soon_after_the_primary_died(
    load: Callable[..., None], inject: Callable[..., None], verdict: Callable[..., Any]
) -> None:
    load(rate_per_s=20, mix={"chat": 1})
    inject("process.kill", on="primary")
    assert verdict(recovery_s={"max": 5}, wrong_answers={"max": 0}).outcome == "pass"


@pytest.mark.parametrize(("protection", "outcome"), [("fragile", "fail"), ("hardened", "pass")])
def test_only_a_hardened_target_survives_a_hung_engine(
    stack: Callable[..., None],
    load: Callable[..., None],
    inject: Callable[..., None],
    verdict: Callable[..., Any],
    protection: str,
    outcome: str,
) -> None:
    stack(protection=protection)
    load(rate_per_s=20, mix={"chat_stream": 0.7, "sentiment": 0.3})
    inject("service.hang", on="primary", for_s=8)
    found = verdict(recovery_s={"max": 5})
    assert found.outcome == outcome, found.reason
    assert found.sli["wrong_answers"] == 0
