"""What the engine tells, as events of the run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness.model.event import Event
from harness.record.clock import FakeClock
from harness.stack.containers.events import ContainerTail, exit_words


def told(clock: FakeClock, action: str, service: str = "primary", age_s: float = 0.0, **more: str) -> Mapping[str, Any]:
    attributes = {"com.docker.compose.service": service, **more}
    return {"Action": action, "timeNano": int((clock.wall_s() - age_s) * 1e9), "Actor": {"Attributes": attributes}}


def tail_of(clock: FakeClock, *rows: Mapping[str, Any], pid: int | None = 7) -> ContainerTail:
    def stream() -> Iterator[Mapping[str, Any]]:
        yield from rows

    tail = ContainerTail(stream, lambda _: pid, clock, clock.now() - 100.0)
    tail.start()
    for _ in range(500):
        if tail.broken:
            break
        time.sleep(0.01)
    return tail


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit status 0"), (78, "exit status 78"), (137, "terminated by SIGKILL"), (139, "terminated by SIGSEGV")],
)
def test_an_exit_code_is_told_as_a_supervisor_would(code: int, words: str) -> None:
    assert exit_words(code) == words


def test_a_crash_is_an_exit_that_nobody_asked_for_with_the_pid_of_the_server() -> None:
    clock = FakeClock()
    tail = tail_of(clock, told(clock, "start"), told(clock, "die", exitCode="137"))
    begun, ended = tail.new_events()
    assert begun == Event(begun.at_s, "target.started", {"replica": "primary", "pid": 7})
    assert ended.kind == "target.exited"
    assert ended.fields == {"replica": "primary", "pid": 7, "how": "terminated by SIGKILL", "asked_for": False}
    assert tail.exit_reports() == {7: ("primary", "terminated by SIGKILL")}


def test_an_end_after_an_order_to_the_engine_was_asked_for_and_the_next_one_is_not() -> None:
    clock = FakeClock()
    stop, die = told(clock, "kill", signal="15"), told(clock, "die", exitCode="0")
    tail = tail_of(clock, told(clock, "start"), stop, die, told(clock, "start"), die)
    assert [event.fields["asked_for"] for event in tail.new_events() if event.kind == "target.exited"] == [True, False]


def test_an_event_counts_from_when_it_happened_and_not_from_when_it_was_read() -> None:
    clock = FakeClock()
    (event,) = tail_of(clock, told(clock, "oom", age_s=2.5)).new_events()
    assert event.kind == "target.oom"
    assert event.at_s == pytest.approx(97.5, abs=0.01)


def test_events_are_handed_over_once() -> None:
    clock = FakeClock()
    tail = tail_of(clock, told(clock, "start"))
    assert len(tail.new_events()) == 1
    assert tail.new_events() == []


def test_an_engine_that_ends_its_stream_is_noticed() -> None:
    assert tail_of(FakeClock()).broken == "the engine ended its stream of events"


def test_rows_that_make_no_sense_break_nothing_but_the_stream() -> None:
    clock = FakeClock()
    tail = tail_of(
        clock,
        told(clock, "start"),
        {"Action": "die", "timeNano": "soon", "Actor": {"Attributes": {"com.docker.compose.service": "primary"}}},
    )
    assert len(tail.new_events()) == 1
    assert tail.broken and tail.broken.startswith("the engine's events cannot be read")
