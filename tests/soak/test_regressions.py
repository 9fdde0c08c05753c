"""Whether nights have become worse: told when they have, silent when they have not or when nobody can know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from harness.model.soak_trials import Night
from harness.model.verdict import VerdictOutcome
from harness.soak.regressions import regression_findings
from tests.soak.trials import night

pytestmark = pytest.mark.whole


def nights(levels: list[float], **changes: object) -> list[Night]:
    """One a day, with twelve trials that each lose about `level` requests."""
    rng = np.random.default_rng(5)
    found = []
    for day, level in enumerate(levels, start=1):
        costs: dict[str, Sequence[int]] = {"crash": [int(cost) for cost in rng.normal(level, 3, 12).clip(1)]}
        began = {"wall_begin": f"2026-01-{day:02}T00:00:00+00:00", "build": f"b{day}"}
        found.append(night(costs, f"202601{day:02}-a", **{**began, **changes}))
    return found


def test_nights_alike_are_no_finding_but_a_pass() -> None:
    (finding,) = regression_findings(nights([50.0] * 14), 1)
    assert finding.outcome is VerdictOutcome.PASS
    assert finding.evidence["nights"] == 14


def test_a_night_from_which_on_more_is_lost_fails_and_is_named() -> None:
    (finding,) = regression_findings(nights([50.0] * 8 + [90.0] * 8), 1)
    assert finding.outcome is VerdictOutcome.FAIL
    assert "crash.lost_mean went up" in finding.reason
    assert "since 2026-01-09T00:00 (build b9)" in finding.reason


def test_what_became_better_again_is_no_fail() -> None:
    (finding,) = regression_findings(nights([50.0] * 8 + [90.0] * 8 + [50.0] * 8), 1)
    assert finding.outcome is VerdictOutcome.PASS
    assert "better: " in finding.reason


def test_a_better_night_is_no_fail() -> None:
    (finding,) = regression_findings(nights([90.0] * 8 + [50.0] * 8), 1)
    assert finding.outcome is VerdictOutcome.PASS


@pytest.mark.parametrize("changes", [{"configuration": "another"}, {"host": "another"}, {"trusted": False}])
def test_nights_that_cannot_be_compared_or_believed_are_left_out(changes: dict[str, object]) -> None:
    assert regression_findings([*nights([50.0] * 9, **changes), *nights([90.0] * 9)], 1) == ()


def test_nights_without_a_number_to_compare_claim_nothing() -> None:
    assert regression_findings(nights([50.0] * 14, trials=(), fault_free=None), 1) == ()


def test_few_nights_say_nothing() -> None:
    assert regression_findings(nights([50.0] * 5 + [90.0] * 4), 1) == ()
