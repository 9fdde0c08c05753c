"""Who joins a batch and when, in each of the modes; and what the defective one does."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from target_service.replica.batching import make_batching
from target_service.replica.engine import Engine, Event, Failed, Finished, Job
from target_service.replica.protection import PROTECTIONS
from target_service.replica.settings import BatchingMode, EngineSettings, parse_arguments
from tests.target_service.replica.spelling import FAST, Counting, Sharing, ask, last

MODES: tuple[BatchingMode, ...] = ("continuous", "static", "one-by-one", "defective")


def settings(mode: BatchingMode) -> EngineSettings:
    return replace(FAST, batching=mode, batch_max=3, batch_wait_s=0.5, active_max=4, queue_max=0)


def arrived(*queued_s: float) -> deque[Job]:
    return deque(Job(ask("a"), lambda _: None, queued_s=at_s) for at_s in queued_s)


@contextmanager
def running(mode: BatchingMode, decoder: Counting | None = None, **changed: Any) -> Iterator[Engine]:
    engine = Engine(decoder or Counting(), replace(settings(mode), **changed))
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.parametrize(("mode", "joining"), [("continuous", 2), ("static", 0), ("one-by-one", 0), ("defective", 0)])
def test_only_with_continuous_batching_those_who_wait_join_a_batch_that_runs(mode: BatchingMode, joining: int) -> None:
    waiting = arrived(0, 0, 0)
    assert len(make_batching(settings(mode)).take(waiting, active=2, places=2, now_s=100)) == joining
    assert len(waiting) == 3 - joining


@pytest.mark.parametrize(("mode", "begin"), [("continuous", 4), ("static", 3), ("one-by-one", 1), ("defective", 3)])
def test_how_many_of_five_begin_together(mode: BatchingMode, begin: int) -> None:
    assert len(make_batching(settings(mode)).take(arrived(0, 0, 0, 0, 0), active=0, places=4, now_s=0)) == begin


@pytest.mark.parametrize(
    ("mode", "begins_s"), [("continuous", 0.0), ("static", 0.5), ("one-by-one", 0.0), ("defective", None)]
)
def test_a_lone_request_begins_at_once_or_by_the_timer_or_never(mode: BatchingMode, begins_s: float | None) -> None:
    batching, waiting = make_batching(settings(mode)), arrived(0)
    times = [now_s for now_s in (0.0, 0.49, 0.5, 10.0, 1e9) if batching.take(waiting, 0, 4, now_s)]
    assert times[:1] == ([] if begins_s is None else [begins_s])


def test_a_static_batch_begins_when_enough_wait_however_short_they_waited() -> None:
    batching = make_batching(settings("static"))
    assert not batching.take(arrived(0, 0), 0, 4, now_s=0.1)
    assert len(batching.take(arrived(0, 0, 0.1), 0, 4, now_s=0.1)) == 3
    assert batching.flush_s(arrived(7, 8)) == 7.5


@pytest.mark.parametrize("mode", MODES)
def test_without_a_place_nobody_begins_but_with_the_defect_which_knows_no_places(mode: BatchingMode) -> None:
    begun = make_batching(settings(mode)).take(arrived(0, 0, 0), active=0, places=0, now_s=9)
    assert len(begun) == (3 if mode == "defective" else 0)


def test_the_defect_runs_all_again_for_each_request_after_the_first_batch() -> None:
    batching, waiting = make_batching(settings("defective")), arrived(0, 0, 0)
    first = batching.take(waiting, 0, 4, now_s=0)
    for job in first:
        job.cancelled.set()
    assert batching.take(waiting, 0, 4, now_s=1) == [], "nobody new came"
    waiting += arrived(2, 2)
    for runs in (4, 5):
        batch = batching.take(waiting, 0, 4, now_s=2)
        assert len(batch) == runs
        assert [job.emit for job in batch[:3]] == [job.emit for job in first]
        assert not any(job.cancelled.is_set() for job in batch)


@pytest.mark.parametrize(("mode", "answers"), [("static", 1), ("continuous", 1), ("defective", 2)])
def test_the_defect_answers_twice_and_the_others_once(mode: BatchingMode, answers: int) -> None:
    old: queue.SimpleQueue[Event] = queue.SimpleQueue()
    new: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with running(mode, batch_max=1, batch_wait_s=0) as engine:
        engine.submit(ask("a"), old.put)
        last(old)
        engine.submit(ask("b"), new.put)
        last(new)
    found = [old.get() for _ in range(old.qsize())]
    assert sum(isinstance(event, Finished) for event in found) == answers - 1
    assert engine.tokens_total == (4 if answers == 1 else 6)


@pytest.mark.parametrize("mode", MODES)
def test_a_lone_request_is_answered_in_every_mode_but_the_defective_one(mode: BatchingMode) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    probe: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with running(mode, batch_wait_s=0.001) as engine:
        engine.submit(ask("a"), events.put)
        if mode == "defective":
            engine.submit(ask("b"), probe.put, express=True)
            last(probe)
            assert (engine.waiting, engine.running, engine.busy) == (1, 0, True)
        else:
            assert isinstance(last(events)[-1], Finished)
    if mode == "defective":
        end = last(events)[-1]
        assert isinstance(end, Failed)
        assert end.rejected.status == 503


@pytest.mark.parametrize("mode", ["continuous", "one-by-one", "static"])
def test_a_short_request_overtakes_a_long_one_only_with_continuous_batching(mode: BatchingMode) -> None:
    order: queue.SimpleQueue[str] = queue.SimpleQueue()
    decoder = Counting()
    decoder.gate.clear()

    def note(name: str) -> Any:
        return lambda event: order.put(name) if isinstance(event, Finished) else None

    with running(mode, decoder, batch_max=1) as engine:
        engine.submit(ask("x" * 40), note("long"))
        assert decoder.stepped.wait(10)
        engine.submit(ask("y"), note("short"))
        decoder.gate.set()
        assert order.get(timeout=10) == ("short" if mode == "continuous" else "long")
        order.get(timeout=10)


@pytest.mark.parametrize(("mode", "passes"), [("continuous", 11), ("static", 11), ("one-by-one", 44)])
def test_a_batch_pays_for_a_pass_once_and_requests_one_by_one_each(mode: BatchingMode, passes: int) -> None:
    decoder = Sharing()
    answered(mode, decoder, [ask("x" * 10) for _ in range(4)])
    assert decoder.passes == passes


def answered(mode: BatchingMode, decoder: Counting, requests: Sequence[Any]) -> list[Event]:
    """How each of some requests that wait together ends."""
    engine = Engine(decoder, replace(settings(mode), batch_max=len(requests)))
    waits = [queue.SimpleQueue[Event]() for _ in requests]
    for request, events in zip(requests, waits, strict=True):
        engine.submit(request, events.put)
    engine.start()
    ends = [last(events)[-1] for events in waits]
    engine.stop()
    return ends


@pytest.mark.parametrize("mode", ["continuous", "static", "one-by-one"])
def test_who_fails_in_a_batch_fails_alone(mode: BatchingMode) -> None:
    ends = answered(mode, Sharing(), [ask("ab"), ask("boom"), ask("bad"), ask("cd")])
    assert [type(end) for end in ends] == [Finished, Failed, Failed, Finished]


def test_when_a_whole_pass_raises_each_is_stepped_alone_and_only_the_guilty_fails() -> None:
    class Fragile(Sharing):
        def step_together(self, generations: Sequence[Any]) -> list[int | Exception]:
            if any(generation.text == "guilty" for generation in generations):
                raise MemoryError("no room for all")
            return super().step_together(generations)

    ends = answered("continuous", Fragile(), [ask("ab"), ask("guilty"), ask("cd")])
    assert [type(end) for end in ends] == [Finished, Failed, Finished]


def test_both_sets_and_the_defaults_batch_continuously() -> None:
    for name in PROTECTIONS:
        parsed = parse_arguments(["--model", "m", "--port", "1", "--protection", name])
        assert parsed.engine.batching == "continuous"


def test_a_batch_of_no_one_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--model", "m", "--port", "1", "--batch-max", "0"])
    assert caught.value.code == 2
    assert "--batch-max: 0 is less than 1" in capsys.readouterr().err
