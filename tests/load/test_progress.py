"""Counting the load, and when a target is warm."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from harness.load.progress import Progress
from harness.load.warmup import settled
from harness.model.request import Outcome
from harness.record.request_log import Began, Damaged, Done, NotSent, Record, Sent, Stopped


def done(index: int, done_s: float, outcome: Outcome = Outcome.OK, latency_s: float = 0.1, lane: str = "user") -> Done:
    sent_us, done_us = round((done_s - latency_s) * 1e6), round(done_s * 1e6)
    return Done(lane, index, sent_us, None, done_us, outcome, 200, None, None, None, None, False, None)


def test_records_are_counted_by_lane_and_outcome() -> None:
    records: list[Record] = [
        Began("user", 500_000),
        *(Sent("user", i, 0) for i in range(4)),
        Sent("control", 0, 0),
        done(0, 1.0),
        done(1, 1.1, Outcome.TIMEOUT),
        NotSent("user", 2, "EMFILE"),
        Damaged("Line 9 is damaged."),
    ]
    progress = Progress().add(records)
    user = progress.lane("user")
    assert user.by_outcome == {Outcome.OK: 1, Outcome.TIMEOUT: 1, Outcome.NOT_SENT: 1}
    assert (user.begin_s, user.sent, user.ended, user.in_flight) == (0.5, 4, 3, 1)
    assert progress.lane("control").in_flight == 1
    assert progress.damage == ["Line 9 is damaged."]
    assert not progress.stopped
    assert progress.add([Stopped()]).stopped


def test_the_success_rate_is_of_what_ended_in_the_window() -> None:
    progress = Progress().add([done(0, 1.0), done(1, 2.0, Outcome.REFUSED), done(2, 2.5), done(3, 3.0)])
    assert progress.success_rate("user", 3.0, 1.0) == 1.0
    assert progress.window("user", 3.0, 1.5) == (2, 3)
    assert progress.success_rate("user", 2.0, 2.0) == 0.5
    assert progress.success_rate("user", 9.0, 1.0) is None
    assert progress.success_rate("warmup", 3.0, 1.0) is None


def test_what_is_outside_the_sli_is_not_in_the_rate() -> None:
    progress = Progress().add([done(0, 1.0), done(1, 1.0, Outcome.IN_FLIGHT_AT_END)])
    assert progress.window("user", 1.0, 1.0) == (1, 1)


def test_latencies_are_of_good_requests_the_latest_first() -> None:
    progress = Progress().add([done(0, 1.0, latency_s=0.2), done(1, 1.1, Outcome.TIMEOUT), done(2, 1.2, latency_s=0.1)])
    assert progress.latencies_s("user", 1.2, 1.0) == pytest.approx([0.1, 0.2])


def test_a_window_longer_than_what_is_kept_is_refused() -> None:
    progress = Progress(keep_s=2.0).add([done(i, float(i)) for i in range(10)])
    assert progress.window("user", 9.0, 2.0) == (2, 2)
    with pytest.raises(ValueError, match="only 2 s are kept"):
        progress.success_rate("user", 9.0, 3.0)


def warm(before: Sequence[float], after: Sequence[float], bad: Outcome | None = None, window_s: float = 1.0) -> bool:
    """Latencies in seconds of the requests spread over the last two windows; optionally one more that went wrong."""
    early, late = (
        [
            done(i, end_s - window_s * (len(took_s) - 1 - i) / len(took_s), latency_s=s, lane="warmup")
            for i, s in enumerate(took_s)
        ]
        for took_s, end_s in ((before, 8.0 - window_s), (after, 8.0))
    )
    extra = [done(99, 8.0 - window_s / 4, bad, lane="warmup")] if bad else []
    return settled(Progress().add([*early, *late, *extra]), 8.0)


def test_a_target_is_warm_when_two_windows_agree() -> None:
    assert warm([0.1] * 5, [0.11] * 5)
    assert warm([0.001] * 5, [0.010] * 5)  # within 10 ms
    assert warm([0.5, 0.5, 0.1, 0.1, 0.1], [0.1] * 5)  # medians: two slow requests do not count
    assert warm([5.0] * 5, [5.1] * 5, window_s=8.0)


def test_a_target_is_not_warm_while_latency_falls_or_requests_fail() -> None:
    assert not warm([0.2] * 5, [0.1] * 5)
    assert not warm([0.1] * 5, [0.1] * 5, Outcome.HTTP_ERROR)


@pytest.mark.parametrize("window_s", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_a_window_is_as_long_as_five_requests_take(window_s: float) -> None:
    assert warm([0.1] * 5, [0.1] * 5, window_s=window_s)
    assert not warm([0.2] * 5, [0.1] * 5, window_s=window_s)


@pytest.mark.parametrize("stall_s", [1.0, 1.5, 3.0])
def test_a_backlog_that_shrinks_slowly_is_not_taken_for_a_warm_target(stall_s: float) -> None:
    every_s, takes_s = 1 / 40, 1 / 60  # it works off half again as much as comes
    free_s, records = stall_s, []
    for index in range(800):
        arrives_s = index * every_s
        free_s = max(free_s, arrives_s) + takes_s
        records.append(done(index, free_s, latency_s=free_s - arrives_s, lane="warmup"))
    ticks = (tick / 10 for tick in range(1, 200))
    found_s = next(
        now_s for now_s in ticks if settled(Progress().add([r for r in records if r.done_us <= now_s * 1e6]), now_s)
    )
    latency_s = next(r.done_us - r.sent_us for r in records if r.done_us >= found_s * 1e6) / 1e6
    assert latency_s < 0.1, f"called warm after {found_s} s, when requests took {latency_s} s"


def seen(records: Sequence[Done], now_s: float, log_s: float = 0.1) -> Progress:
    """What has ended by the time the log was last written, which happens every `log_s`."""
    written_s = int(now_s / log_s) * log_s
    return Progress().add([record for record in records if record.done_us <= written_s * 1e6])


@pytest.mark.parametrize(("rate_per_s", "within_s"), [(40, 0.65), (20, 0.8), (10, 1.25)])
def test_an_even_load_is_compared_as_soon_as_two_windows_are_full(rate_per_s: int, within_s: float) -> None:
    shaken = random.Random(7)
    sent_s = [(index + 1) / rate_per_s for index in range(5 * rate_per_s)]
    took_s = [shaken.uniform(0.008, 0.016) for _ in sent_s]
    records = [
        done(i, at_s + took, latency_s=took, lane="warmup")
        for i, (at_s, took) in enumerate(zip(sent_s, took_s, strict=True))
    ]
    ticks = (tick / 20 for tick in range(1, 100))
    assert next(now_s for now_s in ticks if settled(seen(records, now_s), now_s)) <= within_s


def test_a_target_that_has_stopped_to_answer_is_not_warm_by_what_it_answered_before() -> None:
    records = [done(i, i / 20, latency_s=0.01, lane="warmup") for i in range(60)]
    assert settled(seen(records, 3.0), 3.0)
    assert not settled(seen(records, 3.2), 3.2)


def test_answers_say_nothing_of_a_replica_that_has_not_answered_yet() -> None:
    """Of two that take turns one answers at once, and the other nothing for 1.9 s."""
    records: list[Record] = []
    for index in range(40):
        sent_s = index / 20
        records.append(Sent("warmup", index, round(sent_s * 1e6)))
        if index % 2 == 0:
            records.append(done(index, sent_s + 0.01, latency_s=0.01, lane="warmup"))
    assert not any(
        settled(Progress().add([r for r in records if moment(r) <= now_s]), now_s)
        for now_s in (1.1, 1.3, 1.5, 1.7, 1.9)
    )


def moment(record: Record) -> float:
    assert isinstance(record, Sent | Done)
    return (record.sent_us if isinstance(record, Sent) else record.done_us) * 1e-6


def test_windows_are_as_far_apart_as_the_oldest_open_request_has_waited() -> None:
    quick = [done(i, i / 20, latency_s=0.01, lane="warmup") for i in range(61)]
    for sent_s, warm_by_then in ((1.4, True), (0.05, False)):
        assert settled(Progress().add([*quick, Sent("warmup", 99, round(sent_s * 1e6))]), 3.0) == warm_by_then


def test_answers_of_ten_seconds_are_warm_ten_seconds_after_the_first() -> None:
    records = [done(i, 10 + i / 10, latency_s=10.0, lane="warmup") for i in range(200)]
    ticks = (tick / 20 for tick in range(1, 600))
    found_s = next(now_s for now_s in ticks if settled(seen(records, now_s), now_s))
    assert 20 < found_s < 21.5


def test_too_few_requests_say_nothing() -> None:
    assert not warm([0.1] * 4, [0.1] * 5)
    assert not warm([0.1] * 5, [0.1] * 4)
    assert not warm([], [])
