"""Deep health: a hang is seen, load is not taken for one, and probes never pile up."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

from target_service.replica.engine import Engine, Event, Failed
from target_service.replica.health import EngineHealth, Prober
from target_service.replica.settings import parse_arguments
from tests.target_service.replica.spelling import FAST, Counting, ask

STALL_S = 2.0


class Probes:
    """A prober whose answers are handed over when the test says so."""

    def __init__(self, engine: Engine) -> None:
        self.health = EngineHealth(STALL_S)
        self.prober = Prober(engine, self.health, 0.5)
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.begun = 0

    def at(self, now_s: float) -> None:
        self.prober.probe(now_s, self.events.put)

    def hear(self) -> Event:
        event = self.events.get(timeout=10)
        self.prober.heard(event)
        return event


def test_an_engine_that_hangs_is_not_healthy_and_is_again_when_it_goes_on(engine: Engine, decoder: Counting) -> None:
    probes = Probes(engine)
    decoder.gate.clear()
    engine.submit(ask("x"), lambda _: None)
    assert decoder.stepped.wait(10)
    probes.at(100.0)
    assert probes.health.problem(102.0, engine.tokens_total, waiting=False) is None
    assert probes.health.problem(102.5, engine.tokens_total, waiting=False) == "engine: no progress for 2.5 s"
    decoder.gate.set()
    while not _ended(probes.hear()):
        pass
    assert probes.health.problem(103.0, engine.tokens_total, waiting=False) is None


def test_an_engine_full_of_work_answers_the_probe_before_the_queue(engine: Engine) -> None:
    begun = threading.Semaphore(0)
    jobs = [engine.submit(ask("x", 10**6, ignore_eos=True), lambda _: begun.release()) for _ in range(2)]
    while engine.running < 2:
        assert begun.acquire(timeout=10)
    for _ in range(3):
        engine.submit(ask("y"), lambda _: None)
    assert engine.waiting == 3
    probes = Probes(engine)
    probes.at(100.0)
    while not _ended(probes.hear()):
        pass
    assert engine.waiting == 3
    # Long after, with no probe under way and no news: healthy, as nothing is owed.
    assert probes.health.problem(200.0, 0, waiting=False) is None
    for job in jobs:
        job.cancelled.set()


def _ended(event: Event) -> bool:
    return type(event).__name__ in ("Finished", "Failed")


def test_tokens_of_users_are_progress_while_a_probe_waits() -> None:
    health = EngineHealth(STALL_S)
    assert health.begin(100.0)
    for second in range(60):
        assert health.problem(100.0 + second, second, waiting=False) is None
    assert health.problem(162.0, 59, waiting=False) is not None


def test_users_who_wait_and_get_nothing_are_seen_though_every_probe_gets_through() -> None:
    health, problems = EngineHealth(STALL_S), []
    for half_second in range(8):
        assert health.begin(100 + half_second / 2)
        health.ended(None)
        problems.append(health.problem(100 + half_second / 2, 7, waiting=True))
    assert problems[:5] == [None] * 5
    assert problems[5] == "engine: users wait and got no token for 2.5 s"
    assert health.problem(104.0, 8, waiting=True) is None


def test_only_one_probe_is_under_way() -> None:
    health = EngineHealth(STALL_S)
    assert [health.begin(100.0), health.begin(160.0)] == [True, False]
    health.ended(None)
    assert health.begin(161.0)


def test_a_hung_engine_collects_one_probe_however_often_it_is_asked(engine: Engine, decoder: Counting) -> None:
    probes = Probes(engine)
    decoder.gate.clear()
    for second in range(50):
        probes.at(100.0 + second)
    assert len(engine._express) == 1


def test_an_engine_that_fails_every_request_is_not_healthy_though_it_is_quick() -> None:
    class Broken:
        def begin(self, *_: Any) -> Any:
            raise RuntimeError("CUDA error")

    engine = Engine(Broken(), FAST)
    engine.start()
    probes = Probes(engine)
    probes.at(100.0)
    assert isinstance(probes.hear(), Failed)
    engine.stop()
    problem = probes.health.problem(100.1, 0, waiting=False)
    assert problem is not None
    assert "CUDA error" in problem


def test_it_is_shallow_by_default() -> None:
    needed = ["--model", "m", "--port", "1"]
    assert not parse_arguments(needed).health.deep
    assert parse_arguments([*needed, "--health-mode", "deep"]).health.deep


def test_probes_run_on_their_own_schedule(engine: Engine) -> None:
    health = EngineHealth(STALL_S)
    asked = threading.Semaphore(0)

    class Counted:
        tokens_total = 0
        waiting = 0

        def submit(self, request: Any, emit: Any, *, express: bool = False) -> None:
            asked.release()
            engine.submit(request, emit, express=express)

    async def twice() -> None:
        task = asyncio.create_task(Prober(Counted(), health, 0.001).run())
        for _ in range(2):
            assert await asyncio.to_thread(asked.acquire, timeout=10)
        task.cancel()

    asyncio.run(twice())
