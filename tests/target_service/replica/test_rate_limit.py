"""The token bucket."""

from __future__ import annotations

import pytest

from target_service.replica.rate_limit import TokenBucket
from target_service.replica.settings import parse_arguments


def test_a_burst_of_one_seconds_worth_passes_and_then_the_rate_does() -> None:
    bucket = TokenBucket(5, 100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [0] * 5
    assert bucket.take(100.0) == pytest.approx(0.2)
    assert bucket.take(100.2) == 0
    assert bucket.take(100.2) > 0


@pytest.mark.parametrize("rate_per_s", [0.5, 3, 7, 50])
def test_over_a_long_time_no_more_than_the_rate_passes(rate_per_s: float) -> None:
    bucket = TokenBucket(rate_per_s, 0.0)
    passed = sum(bucket.take(step / 100) == 0 for step in range(10_000))
    assert passed == pytest.approx(100 * rate_per_s + max(1, rate_per_s), abs=1)


def test_who_is_told_to_wait_passes_after_that_wait() -> None:
    bucket = TokenBucket(0.1, 0.0)
    bucket.take(0.0)
    wait_s = bucket.take(3.0)
    assert wait_s == pytest.approx(7)
    assert bucket.take(3.0 + wait_s) == 0


def test_idle_time_saves_up_no_more_than_the_burst() -> None:
    bucket = TokenBucket(2, 0.0)
    assert [bucket.take(3600.0) > 0 for _ in range(3)] == [False, False, True]


def test_there_is_no_limit_by_default() -> None:
    assert parse_arguments(["--model", "m", "--port", "1"]).http.qps_limit == 0
