"""How numbers are shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.verdict import Estimate, Interval
from harness.render import numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9995, "99.95 %"), (1.0, "100 %"), (0.0, "0 %"), (0.99999, "99.999 %"), (0.000001, "0.0001 %"), (None, "–")],
)
def test_a_share_is_shown_in_percent(value: float | None, shown: str) -> None:
    assert numbers.percent(value) == shown


@settings(deadline=None, database=None)
@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_everything_is_a_hundred_percent(value: float) -> None:
    assert numbers.percent(value) not in ("100 %", "100.00 %", "0 %", "0.00 %")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.14, "3.1 s"), (0.346, "0.35 s"), (0.004, "4.0 ms"), (0, "0.0 s"), (1234.5, "1,234 s"), (None, "–")],
)
def test_seconds_have_as_many_digits_as_they_deserve(value: float | None, shown: str) -> None:
    assert numbers.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.42, "0.42 ms"), (4.21, "4.2 ms"), (812.4, "812 ms"), (12345.0, "12.3 s")]
)
def test_milliseconds_become_seconds_when_there_are_too_many(value: float, shown: str) -> None:
    assert numbers.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Interval(3.12, 3.21), "3.1–3.2 s"),
        (Interval(0.401, 0.409), "0.40–0.41 s"),
        (Interval(3.121, 3.124), "3.121–3.124 s"),
        (Interval(3.0, 3.0), "3.0 s"),
        (Interval(12.0, None), "≥ 12.0 s (not recovered by the end)"),
        (None, "–"),
    ],
)
def test_an_interval_shows_that_its_ends_differ(value: Interval | None, shown: str) -> None:
    assert numbers.interval(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(45, "45 s"), (663, "11 min 3 s"), (7500, "2 h 5 min"), (2_592_000, "30 days")]
)
def test_a_duration_is_said_in_two_units_at_most(value: float, shown: str) -> None:
    assert numbers.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "span", "shown"),
    [(90, 120, "90 s"), (270, 600, "4:30"), (7200, 36_000, "2:00 h"), (259_200, 2_592_000, "day 3")],
)
def test_a_time_axis_uses_the_unit_of_its_length(value: float, span: float, shown: str) -> None:
    assert numbers.clock(value, span) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("latency_ms_p99", 191.3, "191 ms"),
        ("success_rate", 0.9473, "94.73 %"),
        ("recovery_s_p50", 3.14, "3.1 s"),
        ("rate_per_s", 20.0, "20 per s"),
        ("planned", 13214, "13,214"),
        ("time_availability", {"low": 0.93, "high": 0.94}, "93.00 % to 94.00 %"),
        ("target_received", {"incarnations": 2, "received": 2322}, "incarnations 2, received 2,322"),
        ("expect", "pass", "pass"),
        ("complete", True, "yes"),
        ("commit", None, "–"),
    ],
)
def test_a_number_has_the_unit_that_its_name_says(name: str, value: Any, shown: str) -> None:
    assert numbers.by_name(name, value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1611, 1630], "1611, 1630"),
        (list(range(41)), ", ".join(str(n) for n in range(40)) + " … and 1 more"),
        ({"low": 1.5, "high": None}, "low: 1.5, high: –"),
        ([], "none"),
        ({}, "none"),
        ({"b", "a"}, "a, b"),
        ([[1, 2]], "(1, 2)"),
        (Interval(1.0, 2.0), "low: 1, high: 2"),
        (0.1234567, "0.123457"),
        (float("inf"), "inf"),
        (True, "yes"),
    ],
)
def test_evidence_is_shown_so_that_it_can_be_found_again(value: Any, shown: str) -> None:
    assert numbers.plain(value) == shown


def test_an_estimate_says_when_there_is_none_and_leaves_an_open_end_open() -> None:
    nothing = Estimate(None, None, None, 0.95, "too few", 2)
    assert numbers.estimate_value("recovery_s_p50", nothing) == "not estimable"
    assert numbers.estimate_interval("recovery_s_p50", nothing) == "–"
    some = Estimate(3.0, 2.5, None, 0.95, "order statistics", 9)
    assert numbers.estimate_interval("recovery_s_p50", some) == "≥ 2.5 s"
    assert numbers.estimate_interval("success_rate", Estimate(0.9, None, 0.95, 0.95, "", 9)) == "≤ 95.00 %"
