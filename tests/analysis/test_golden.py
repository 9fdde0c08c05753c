"""Golden answers that are the target's own: what it disagrees with itself is no fault's work, what is beyond is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.golden import Disagreement, excess_wrong
from harness.analysis.judge import judge
from harness.model.event import Event
from harness.model.history import History
from harness.model.verdict import Interval
from tests.fake_run import history_of, with_column

TEXT = "faults:\n  - {kind: process.pause, for_s: 2}\nobserve: {wrong_answers: {max: 0}}\n"
RECORDED = Event(0.1, "golden.recorded", {"asked": 8, "reproducible": 7, "ends_with_done": True})


def of(wrong: int, checked: int) -> Disagreement:
    return Disagreement(wrong, checked, 8, 8)


def with_wrong(history: History, every: int, after_s: float) -> History:
    """Each so-many-th answered request of the users that was due after that time is a wrong answer."""
    ok = (history.requests["outcome"] == "ok") & (history.requests["lane"] == "user")
    late = np.asarray(history.requests["scheduled_us"], dtype=float) / 1e6 >= after_s
    chosen = np.flatnonzero(ok & late)[::every]

    def change(column: np.ndarray) -> np.ndarray:
        column[chosen] = "wrong_answer"
        return column

    return with_column(history, "outcome", change)


def recorded(history: History) -> History:
    return dataclasses.replace(history, events=[RECORDED, *history.events])


def test_no_wrong_answer_is_none_and_what_chance_allows_is_not_told_from_none() -> None:
    assert excess_wrong(0, 200, of(0, 200)) == Interval(0, 0)
    few = excess_wrong(2, 200, of(0, 200))
    assert few is not None and few.low == 0 and few.high == 2


@pytest.mark.parametrize(("wrong", "low"), [(10, 0), (60, 30)])
def test_an_engine_that_disagrees_with_itself_is_judged_against_that(wrong: int, low: int) -> None:
    excess = excess_wrong(wrong, 200, of(10, 200))
    assert excess is not None and excess.low >= low and excess.high is not None and excess.high <= wrong
    assert (excess.low > 0) == (low > 0)


def test_what_nobody_checked_is_not_called_right() -> None:
    assert excess_wrong(0, 0, of(0, 100)) is None
    assert excess_wrong(0, 100, of(0, 0)) is None


def test_the_same_answers_fail_when_the_right_ones_are_known_and_are_inconclusive_when_the_target_always_did_so(
    tmp_path: Path,
) -> None:
    history = with_wrong(history_of(tmp_path, TEXT), every=20, after_s=0.0)
    assert judge(history).outcome == "fail"
    verdict = judge(recorded(history))
    (finding,) = [one for one in verdict.findings if one.check == "observe.wrong_answers"]
    assert finding.outcome == "inconclusive"
    assert "beyond its own disagreement" in finding.reason
    assert verdict.estimates["golden_disagreement_rate"].value == pytest.approx(0.05, abs=0.02)
    assert any("7 of 8 prompts" in sentence for sentence in verdict.limits)


def test_a_target_that_begins_to_answer_otherwise_fails(tmp_path: Path) -> None:
    history = history_of(tmp_path, TEXT)
    begin_s = next(event.at_s for event in history.events if event.kind == "fault_begin")
    verdict = judge(recorded(with_wrong(history, every=2, after_s=begin_s)))
    (finding,) = [one for one in verdict.findings if one.check == "observe.wrong_answers"]
    assert finding.outcome == "fail", finding.reason


def test_a_target_that_keeps_to_its_answers_passes(tmp_path: Path) -> None:
    verdict = judge(recorded(history_of(tmp_path, TEXT)))
    (finding,) = [one for one in verdict.findings if one.check == "observe.wrong_answers"]
    assert finding.outcome == "pass", finding.reason
