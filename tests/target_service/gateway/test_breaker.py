"""The circuit breaker, moved by hand."""

from __future__ import annotations

import pytest

from target_service.gateway.breaker import Breaker, BreakerRules, BreakerState
from target_service.gateway.events import EventLog
from target_service.gateway.evidence import Evidence, evidence_of_answer


class Moved:
    """A breaker and its time."""

    def __init__(self, failures_max: int = 5, open_s: float = 10.0, probes: int = 1) -> None:
        self.now_s = 0.0
        self.events = EventLog(lambda: self.now_s)
        self.breaker = Breaker("primary", self.events, BreakerRules(failures_max, open_s, probes))

    def end(self, evidence: Evidence) -> None:
        assert self.breaker.allows(self.now_s)
        self.breaker.end(self.breaker.begin(), evidence, self.now_s)

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.end(Evidence.FAILED)

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events.since(0)]


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    moved = Moved()
    moved.fail(4)
    assert moved.breaker.allows(0.0)
    moved.fail(1)
    assert not moved.breaker.allows(0.0)
    assert moved.kinds() == ["breaker_opened"]
    assert moved.breaker.body() == {"state": "open", "failures": 5, "last_failure_s": 0.0}


def test_a_success_starts_the_count_again_and_a_neutral_end_does_not() -> None:
    moved = Moved()
    moved.fail(4)
    moved.end(Evidence.GOOD)
    moved.fail(4)
    assert moved.breaker.state is BreakerState.CLOSED
    moved.end(Evidence.NEUTRAL)
    moved.fail(1)
    assert moved.breaker.state is BreakerState.OPEN


def test_it_stays_open_for_its_time_and_then_lets_one_request_probe() -> None:
    moved = Moved(open_s=10.0)
    moved.fail(5)
    assert moved.breaker.wait_s(4.0) == 6.0
    assert not moved.breaker.allows(9.9)
    assert moved.breaker.allows(10.0)
    moved.breaker.begin()
    assert moved.breaker.state is BreakerState.HALF_OPEN
    assert not moved.breaker.allows(10.0)


def test_a_probe_that_succeeds_closes_it() -> None:
    moved = Moved()
    moved.fail(5)
    moved.now_s = 10.0
    moved.end(Evidence.GOOD)
    assert moved.breaker.state is BreakerState.CLOSED
    assert moved.kinds() == ["breaker_opened", "breaker_half_open", "breaker_closed"]
    moved.fail(4)
    assert moved.breaker.state is BreakerState.CLOSED


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    moved = Moved()
    moved.fail(5)
    moved.now_s = 10.0
    moved.fail(1)
    assert not moved.breaker.allows(19.9)
    assert moved.breaker.allows(20.0)


def test_half_open_lets_as_many_requests_through_as_must_succeed() -> None:
    moved = Moved(probes=3)
    moved.fail(5)
    moved.now_s = 10.0
    permits = []
    while moved.breaker.allows(10.0):
        permits.append(moved.breaker.begin())
    assert len(permits) == 3
    for permit in permits[:2]:
        moved.breaker.end(permit, Evidence.GOOD, 10.0)
    assert moved.breaker.state is BreakerState.HALF_OPEN
    assert not moved.breaker.allows(10.0)
    moved.breaker.end(permits[2], Evidence.GOOD, 10.0)
    assert moved.breaker.state is BreakerState.CLOSED


def test_a_probe_that_says_nothing_gives_its_place_to_another() -> None:
    moved = Moved()
    moved.fail(5)
    moved.now_s = 10.0
    moved.end(Evidence.NEUTRAL)
    assert moved.breaker.state is BreakerState.HALF_OPEN
    assert moved.breaker.allows(10.0)


def test_what_began_in_an_earlier_state_changes_nothing() -> None:
    moved = Moved()
    slow = [moved.breaker.begin() for _ in range(2)]
    moved.fail(5)
    moved.now_s = 10.0
    moved.breaker.begin()
    moved.breaker.end(slow[0], Evidence.GOOD, 10.0)
    assert moved.breaker.state is BreakerState.HALF_OPEN
    moved.breaker.end(slow[1], Evidence.FAILED, 10.0)
    assert moved.breaker.state is BreakerState.HALF_OPEN


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (200, False, Evidence.GOOD),
        (400, False, Evidence.NEUTRAL),
        (429, True, Evidence.NEUTRAL),
        (499, False, Evidence.NEUTRAL),
        (500, False, Evidence.FAILED),
        (500, True, Evidence.FAILED),
        (503, True, Evidence.NEUTRAL),
        (503, False, Evidence.FAILED),
    ],
)
def test_only_server_errors_that_are_no_orderly_refusal_are_failures(
    status: int, retry_after: bool, expected: Evidence
) -> None:
    assert evidence_of_answer(status, retry_after=retry_after) is expected
