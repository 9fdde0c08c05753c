"""Which faults there are, what the engine and the streams make of them."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from typing import Any

import pytest

from target_service.protocol.chat import Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Engine, Event, Finished, Piece
from target_service.replica.fault_kinds import KillEngine, Poison
from target_service.replica.faults import (
    Crash,
    Faults,
    ForwardedFaults,
    Hang,
    LeakMemory,
    LeakSlots,
    Spin,
    StallStream,
    TruncateStream,
    parse_fault,
)
from target_service.replica.streaming import disturbed
from tests.target_service.replica.spelling import FAST, Counting, ask, last

ANSWER = [Begun(), Piece("a"), Piece("b"), Finished("stop", Usage(1, 2))]


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_parameters_have_defaults_and_are_read_by_name() -> None:
    assert parse_fault("hang", {}) == Hang(0.0)
    assert parse_fault("crash", {"exit_code": 139}) == Crash(139)
    assert parse_fault("leak_slots", {"slots": 3}) == LeakSlots(3)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        pytest.param("explode", {}, 404, id="no such fault"),
        pytest.param("hang", {"seconds": 3}, 400, id="no such parameter"),
        pytest.param("hang", {"for_s": "3"}, 400, id="not a number"),
        pytest.param("crash", {"exit_code": 1.5}, 400, id="not whole"),
        pytest.param("crash", {"exit_code": True}, 400, id="a bool"),
        pytest.param("leak_memory", {"mb": -1}, 400, id="negative"),
        pytest.param("hang", [], 400, id="a list"),
        pytest.param("crash", {"exit_code": 256}, 400, id="no exit code"),
        pytest.param("crash", {"where": "moon"}, 400, id="no such place"),
        pytest.param("kill_engine", {"signal": 0}, 400, id="no signal"),
        pytest.param("poison", {"marker": ""}, 400, id="an empty marker"),
        pytest.param("poison", {"marker": 7}, 400, id="a marker that is no text"),
        pytest.param("poison", {"effect": "explode"}, 400, id="no such effect"),
    ],
)
def test_what_is_not_a_fault_is_refused(name: str, body: object, status: int) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        parse_fault(name, body)
    assert caught.value.status == status


@pytest.mark.parametrize("fault", [Hang(), Spin()])
def test_a_fault_of_the_engine_stops_all_work_until_it_is_cleared(fault: Any) -> None:
    faults, events = Faults(), queue.SimpleQueue[Event]()
    engine = Engine(Counting(), FAST, disturbance=faults)
    name = type(fault).__name__.lower()
    faults.start(name, fault)
    engine.start()
    engine.submit(ask("a"), events.put)
    with pytest.raises(queue.Empty):
        events.get(timeout=0.05)
    assert faults.clear(name)
    assert isinstance(last(events)[-1], Finished)
    engine.stop()


def test_a_fault_with_a_length_ends_by_itself() -> None:
    clock = Time()
    faults = Faults(clock)
    faults.start("hang", Hang(for_s=5))
    clock.now_s += 4.9
    assert faults.active() == {"hang": {"for_s": 5}}
    clock.now_s += 0.2
    assert faults.active() == {}
    faults.before_round()
    assert not faults.clear("hang")


def test_leaked_slots_leave_an_idle_engine_that_refuses() -> None:
    faults, events = Faults(), queue.SimpleQueue[Event]()
    engine = Engine(Counting(), FAST, disturbance=faults)
    faults.start("leak_slots", LeakSlots(FAST.active_max))
    engine.start()
    for _ in range(FAST.queue_max):
        engine.submit(ask("a"), events.put)
    with pytest.raises(RequestRejectedError) as caught:
        engine.submit(ask("a"), events.put)
    assert (caught.value.status, engine.running, engine.tokens_total) == (429, 0, 0)
    faults.clear("leak_slots")
    assert isinstance(last(events)[-1], Finished)
    engine.stop()


def test_leaked_memory_is_held_until_cleared_and_never_adds_up_unseen() -> None:
    faults = Faults()
    faults.start("leak_memory", LeakMemory(2))
    faults.start("leak_memory", LeakMemory(1))
    assert faults.memory_leaked_bytes == 2**20
    assert faults.clear("leak_memory")
    assert faults.memory_leaked_bytes == 0


def test_memory_can_leak_with_every_request_until_it_is_cleared() -> None:
    faults = Faults()
    faults.taste(ask("before"))
    faults.start("leak_memory", LeakMemory(mb=0, kb_per_request=4))
    for _ in range(3):
        faults.taste(ask("during"))
    assert faults.memory_leaked_bytes == 3 * 4096
    faults.clear("leak_memory")
    faults.taste(ask("after"))
    assert faults.memory_leaked_bytes == 0


def test_only_a_marked_request_is_poison_and_only_while_the_fault_is_active() -> None:
    faults = Faults()
    faults.start("poison", Poison(marker="arsenic", effect="fail"))
    faults.taste(ask("water"))
    with pytest.raises(RequestRejectedError) as caught:
        faults.taste(ask("some arsenic here"))
    assert (caught.value.status, caught.value.code) == (500, "poisoned")
    faults.clear("poison")
    faults.taste(ask("some arsenic here"))


def test_what_happens_in_the_engine_is_sent_there_and_what_does_not_stays() -> None:
    sent: list[tuple[str, Any]] = []
    faults = ForwardedFaults(lambda name, parameters: sent.append((name, parameters)))
    faults.start("leak_memory", LeakMemory(5))
    faults.start("poison", Poison(effect="fail"))
    faults.start("truncate_stream", TruncateStream(2))
    faults.start("crash", Crash(3, where="server"))
    faults.start("crash", Crash(4, where="engine"))
    faults.taste(ask("a poison-pill"))
    assert faults.memory_leaked_bytes == 0
    assert [(name, parameters and sorted(parameters)) for name, parameters in sent] == [
        ("leak_memory", ["kb_per_request", "mb"]),
        ("poison", ["effect", "marker"]),
        ("crash", ["after_s", "exit_code", "where"]),
    ]
    assert set(faults.active()) == {"leak_memory", "poison", "truncate_stream", "crash"}
    assert faults.clear("leak_memory")
    assert sent[-1] == ("leak_memory", None)


def test_an_engine_that_has_gone_takes_its_faults_along() -> None:
    faults = ForwardedFaults(lambda *_: None)
    for name, fault in {"hang": Hang(), "kill_engine": KillEngine(19), "stall_stream": StallStream()}.items():
        faults.start(name, fault)
    faults.engine_gone()
    assert set(faults.active()) == {"stall_stream"}


async def _answer() -> AsyncIterator[Event]:
    for event in ANSWER:
        yield event


async def _all(faults: Faults) -> list[Event]:
    return [event async for event in disturbed(_answer(), faults)]


async def test_without_a_fault_a_stream_is_whole() -> None:
    assert await _all(Faults()) == ANSWER


@pytest.mark.parametrize("events", [0, 1, 2])
async def test_a_truncated_stream_ends_after_that_many_pieces(events: int) -> None:
    faults = Faults()
    faults.start("truncate_stream", TruncateStream(events))
    assert await _all(faults) == ANSWER[: 1 + events]


async def test_a_stalled_stream_goes_on_when_the_fault_is_cleared() -> None:
    faults = Faults()
    faults.start("stall_stream", StallStream(1))
    stream = disturbed(_answer(), faults)
    seen = [await anext(stream), await anext(stream)]
    stalled = asyncio.ensure_future(anext(stream))
    assert not (await asyncio.wait({stalled}, timeout=0.05))[0]
    faults.clear("stall_stream")
    assert [*seen, await stalled] == ANSWER[:3]
    await stream.aclose()
