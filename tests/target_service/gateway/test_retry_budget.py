"""How much is tried again, and when."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from target_service.gateway.retry_budget import SAVED_MAX, RetryBudget, backoff_s


def test_a_tenth_allows_one_retry_for_every_tenth_request() -> None:
    budget = RetryBudget(0.1)
    allowed = []
    for request in range(1, 31):
        budget.pay_in()
        if budget.take():
            allowed.append(request)
    assert allowed == [10, 20, 30]


@given(st.floats(0.001, 1.0), st.lists(st.booleans(), max_size=300))
def test_retries_are_never_more_than_their_share_of_the_requests_so_far(share: float, failed: list[bool]) -> None:
    budget, retries = RetryBudget(share), 0
    for requests, one_failed in enumerate(failed, 1):
        budget.pay_in()
        retries += one_failed and budget.take()
        assert retries <= share * requests + 1e-6


def test_what_good_times_save_is_bounded() -> None:
    budget = RetryBudget(1.0)
    for _ in range(1000):
        budget.pay_in()
    assert [budget.take() for _ in range(12)].count(True) == SAVED_MAX


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = RetryBudget(1.0)
    budget.pay_in()
    assert budget.take()
    assert not budget.take()
    budget.give_back()
    assert budget.take()


def test_the_wait_is_drawn_from_a_range_that_doubles_and_the_seed_repeats_it() -> None:
    rng = random.Random(7)
    drawn = {retry: [backoff_s(retry, 0.1, rng) for _ in range(400)] for retry in (1, 2, 3)}
    for retry, waits_s in drawn.items():
        longest_s = 0.1 * 2 ** (retry - 1)
        assert 0.9 * longest_s < max(waits_s) <= longest_s
        assert min(waits_s) < 0.1 * longest_s
    assert backoff_s(1, 0.1, random.Random(7)) == drawn[1][0]
    assert all(a != b for a, b in pairwise(drawn[1]))
