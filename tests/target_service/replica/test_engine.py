"""The engine with a decoder that needs no network."""

from __future__ import annotations

import queue
from dataclasses import replace
from typing import Any

import pytest

from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Engine, Event, Failed, Finished, Piece
from tests.target_service.replica.spelling import FAST, Counting, ask, last


def test_events_come_in_order(engine: Engine) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(ask("ab"), events.put)
    assert [type(e) for e in last(events)] == [Begun, Piece, Piece, Finished]


def test_a_request_that_raises_fails_alone(engine: Engine) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(ask("boom"), events.put)
    failed = last(events)[-1]
    assert isinstance(failed, Failed)
    assert failed.rejected.status == 500
    engine.submit(ask("a"), events.put)
    assert isinstance(last(events)[-1], Finished)


def test_a_short_request_does_not_wait_for_a_long_one(engine: Engine) -> None:
    order: queue.SimpleQueue[str] = queue.SimpleQueue()

    def note(name: str) -> Any:
        return lambda event: order.put(name) if isinstance(event, Finished) else None

    engine.submit(ask("x" * 4000, 4000), note("long"))
    engine.submit(ask("y"), note("short"))
    assert order.get(timeout=10) == "short"


def test_a_full_queue_refuses_with_429(engine: Engine, decoder: Counting) -> None:
    decoder.gate.clear()
    engine.submit(ask("a"), lambda _: None)
    assert decoder.stepped.wait(10)
    # The engine stands in a step: what comes now waits, and three may.
    for _ in range(3):
        engine.submit(ask("b"), lambda _: None)
    with pytest.raises(RequestRejectedError) as caught:
        engine.submit(ask("d"), lambda _: None)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 1)


def test_a_cancelled_request_gives_its_place_back(engine: Engine) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    jobs = [engine.submit(ask("x", 10**6, ignore_eos=True), lambda _: None) for _ in range(2)]
    engine.submit(ask("a"), events.put)
    for job in jobs:
        job.cancelled.set()
    assert isinstance(last(events)[-1], Finished)


def test_waiting_too_long_is_a_503(decoder: Counting) -> None:
    now = iter(range(0, 10_000, 100))
    engine = Engine(decoder, FAST, clock=lambda: float(next(now)))
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(ask("a"), events.put)
    engine.start()
    failed = last(events)[-1]
    engine.stop()
    assert isinstance(failed, Failed)
    assert (failed.rejected.status, failed.rejected.code) == (503, "queue_timeout")


@pytest.mark.parametrize("cancel_on_disconnect", [True, False])
def test_a_client_that_leaves_stops_its_generation_only_where_cancelling_is_on(
    decoder: Counting, *, cancel_on_disconnect: bool
) -> None:
    decoder.gate.clear()
    engine = Engine(decoder, replace(FAST, active_max=1, cancel_on_disconnect=cancel_on_disconnect))
    left: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stays: queue.SimpleQueue[Event] = queue.SimpleQueue()
    job = engine.submit(ask("x" * 30), left.put)
    engine.submit(ask("a"), stays.put)
    engine.start()
    assert decoder.stepped.wait(10)
    job.cancelled.set()
    decoder.gate.set()
    last(stays)
    engine.stop()
    # With one place, whoever stays is served after the one who left: all of its tokens, or the one in progress.
    assert engine.tokens_total == 2 + (1 if cancel_on_disconnect else 31)


def test_an_express_job_waits_for_no_one_and_takes_nobodys_place(engine: Engine) -> None:
    endless = [engine.submit(ask("x", 10**6, ignore_eos=True), lambda _: None) for _ in range(2)]
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    express: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(ask("a"), waiting.put)
    engine.submit(ask("b", 1), express.put, express=True)
    assert isinstance(last(express)[-1], Finished)
    assert waiting.empty()
    assert engine.running == 2
    for job in endless:
        job.cancelled.set()


def test_an_express_job_is_neither_work_nor_progress(engine: Engine) -> None:
    express: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(ask("abc"), express.put, express=True)
    last(express)
    assert (engine.tokens_total, engine.steps_total, engine.busy) == (0, 0, False)


def test_a_limit_of_0_is_no_limit(decoder: Counting) -> None:
    now = iter(range(0, 10**9, 100))
    settings = replace(FAST, queue_max=0, queue_timeout_s=0, run_timeout_s=0)
    engine = Engine(decoder, settings, clock=lambda: float(next(now)))
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    for _ in range(200):
        engine.submit(ask("a", 1), events.put)
    engine.start()
    ends = [last(events)[-1] for _ in range(200)]
    engine.stop()
    assert all(isinstance(end, Finished) for end in ends)
