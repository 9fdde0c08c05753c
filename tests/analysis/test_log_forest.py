"""Windows of the logs that are unlike the baseline's: what is found, what is not, and when nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import log_forest
from harness.analysis.log_forest import BASELINE_WINDOWS_MIN, evidence_of, scores_of
from harness.analysis.log_windows import KINDS_MAX, RANGES, LogWindows, window_length_s
from harness.model.log_evidence import LogEvidence, LogRecord
from tests.analysis.log_writer import BEGIN_S, Change, during, traffic

FAULT_S = (60.0, 70.0)


def windows(change: Change | None = None, seed: str = "a", baseline_s: float = 30.0) -> LogWindows:
    made = LogWindows(BEGIN_S, 120.0, baseline_s, 1.0)
    for record in traffic(120.0, seed, change=change):
        made.add(record)
    return made


def marked_s(found: LogEvidence, begin_s: float, end_s: float) -> float:
    return sum(max(0.0, min(one.end_s, end_s) - max(one.begin_s, begin_s)) for one in found.marks)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("change", "at_least_s"),
    [
        (during(*FAULT_S, 1, 503), 9),
        (during(*FAULT_S, 0, 200), 9),
        (during(*FAULT_S, 0.25, 200), 4),
        (during(*FAULT_S, 1, None), 9),
    ],
    ids=["all refused", "silence", "a quarter of the requests", "clients leave"],
)
def test_a_fault_of_ten_seconds_is_marked_where_it_was(change: Change, at_least_s: float) -> None:
    found = evidence_of(windows(change), seed=1)
    assert marked_s(found, *FAULT_S) >= at_least_s
    assert found.marked_windows - marked_s(found, *FAULT_S) <= 2 * found.by_chance


@pytest.mark.whole
def test_without_a_fault_no_more_is_marked_than_by_chance() -> None:
    found = [evidence_of(windows(seed=seed), seed=1) for seed in "abc"]
    assert sum(one.marked_windows for one in found) <= sum(one.by_chance for one in found)
    assert found[0].by_chance == pytest.approx(90 / 31, abs=0.06)


@pytest.mark.whole
def test_the_same_logs_and_seed_give_the_same_marks() -> None:
    assert evidence_of(windows(during(*FAULT_S, 1, 503)), seed=1) == evidence_of(
        windows(during(*FAULT_S, 1, 503)), seed=1
    )


@pytest.mark.whole
def test_each_feature_counts_by_its_weight() -> None:
    """Windows that differ in one feature alone, each equally far within its range: the heavier, the more unusual."""
    low, high = np.array(RANGES).T
    usual = (low + high) / 2 + np.random.default_rng(0).normal(0, 0.02, (60, 3)) * (high - low)
    odd = np.where(np.eye(3, dtype=bool), high, (low + high) / 2)
    mean = np.mean([scores_of(np.vstack([usual, odd]), 60, seed)[1] for seed in range(3)], axis=0)
    assert mean[0] > mean[1] > mean[2]


def test_a_short_baseline_says_how_long_one_would_do() -> None:
    found = evidence_of(windows(during(*FAULT_S, 1, 503), baseline_s=8), seed=1)
    assert found.marks == ()
    assert found.why_not.startswith("not estimable: the baseline has 8 windows of 1 s")
    assert f"phases.baseline_s of {BASELINE_WINDOWS_MIN} has them" in found.why_not


def test_logs_without_requests_say_so() -> None:
    made = LogWindows(BEGIN_S, 120.0, 30.0, 1.0)
    for at_s in range(120):
        made.add(LogRecord(BEGIN_S + at_s, "gateway.err.log", "all is well"))
    assert "fewer than one request" in evidence_of(made, seed=1).why_not


def test_without_the_library_the_report_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_forest, "find_spec", lambda name: None)
    found = evidence_of(windows(), seed=1)
    assert found.marks == ()
    assert "install the extra 'logs'" in found.why_not


def test_a_window_in_which_all_is_refused_differs_in_its_codes_from_one_in_which_all_is_well() -> None:
    rows = windows(during(*FAULT_S, 1, 503)).features()
    assert rows[40, 1] == 0
    assert rows[65, 1] == 1


def test_memory_does_not_grow_with_kinds_of_lines() -> None:
    made = LogWindows(BEGIN_S, 10.0, 5.0, 1.0)
    for n in range(3 * KINDS_MAX):
        made.add(LogRecord(BEGIN_S + n % 10, "a.log", f"said {chr(0x4E00 + n)}"))
    assert len(made._kinds) == KINDS_MAX + 1
    assert np.isfinite(made.features()).all()


def test_a_run_of_a_month_has_no_more_windows_than_can_be_shown() -> None:
    assert window_length_s(120) == 1
    assert 30 * 86_400 / window_length_s(30 * 86_400) <= 2000
