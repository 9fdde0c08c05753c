"""The token bucket, with time handed in."""

from __future__ import annotations

import pytest

from target_service.protocol.rate_limit import TokenBucket


def test_a_burst_passes_and_the_next_request_is_told_how_long_to_wait() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_who_waits_as_long_as_told_passes() -> None:
    bucket = TokenBucket(rate_per_s=4.0, burst=1)
    bucket.take(1.0)
    wait_s = bucket.take(1.1)
    assert wait_s == pytest.approx(0.15)
    assert bucket.take(1.1 + wait_s + 1e-9) == 0.0


def test_in_the_long_run_no_more_pass_than_the_rate_and_one_burst() -> None:
    bucket = TokenBucket(rate_per_s=10.0, burst=5)
    passed = sum(bucket.take(i / 1000) == 0.0 for i in range(10_000))
    assert 104 <= passed <= 105


def test_idle_time_fills_the_bucket_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(rate_per_s=100.0, burst=2)
    bucket.take(0.0)
    assert [bucket.take(3600.0) == 0.0 for _ in range(3)] == [True, True, False]


def test_a_clock_that_is_read_out_of_order_gives_no_token_twice() -> None:
    bucket = TokenBucket(rate_per_s=1.0, burst=1)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(9.0) > 0
    assert bucket.take(10.5) == pytest.approx(0.5)


@pytest.mark.parametrize("rate_per_s", [1, 3, 7, 10, 33])
def test_who_comes_back_when_told_is_served(rate_per_s: float) -> None:
    bucket, now_s = TokenBucket(rate_per_s, burst=rate_per_s), 0.0
    for _ in range(200):
        wait_s = bucket.take(now_s)
        if wait_s:
            now_s += wait_s
            assert bucket.take(now_s) == 0.0


def test_a_rate_below_one_a_second_still_lets_one_pass() -> None:
    assert TokenBucket(0.1, burst=0.1).take(0.0) == 0.0
