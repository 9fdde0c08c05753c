"""Server's end and engine's end of the connection, both in this process, over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from target_service.model.loading import BadModelError
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Engine, Event, Failed, Finished, Piece
from target_service.replica.engine_client import SLACK, EngineClient, EngineGoneError, Totals
from target_service.replica.engine_end import EngineEnd
from target_service.replica.faults import Faults
from target_service.replica.remote_model import RemoteModel
from target_service.replica.settings import EngineSettings, ReplicaSettings, parse_arguments
from target_service.replica.shared_requests import SHARED_MEMORY, SharedRequests
from target_service.replica.state import Serving
from tests.target_service.replica.counting_engine import Held
from tests.target_service.replica.spelling import Counting, ask

LIMITS = EngineSettings(token_cost_s=0, queue_max=3, active_max=2)
OPTIONS = ["--model", "m", "--port", "1", "--token-cost-ms", "0", "--max-queue", "3", "--max-active", "2"]


class Server:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.facts: Mapping[str, Any] | None = None
        self.reason: str | None = None

    def loaded(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts

    def bad(self, reason: str) -> None:
        self.reason = reason


class Both:
    """Both ends, and what is behind them."""

    def __init__(self, *more: str, bad: str | None = None) -> None:
        self.server, self.held, self.decoder = Server(), Held(), Counting()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.ended: list[int] = []
        self.code: int | None = -1
        self.bad = bad
        settings = parse_arguments([*OPTIONS, *more])
        self.end = EngineEnd(self.theirs, settings, self._start, self.ended.append)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.client = EngineClient(LIMITS, self.server)

    def _start(self, settings: ReplicaSettings, faults: Faults) -> Serving:
        if self.bad is not None:
            raise BadModelError(self.bad)
        self.engine = Engine(self.decoder, settings.engine, disturbance=faults)
        self.engine.start()
        return Serving(self.engine, self.held, True, "all is right", 0.1, self.held.recheck)

    def _run(self) -> None:
        self.code = self.end.run()

    async def connect(self) -> None:
        self.thread.start()
        await asyncio.get_running_loop().create_unix_connection(lambda: self.client, sock=self.ours)

    async def ended_with(self) -> int | None:
        await asyncio.to_thread(self.thread.join, 10)
        assert not self.thread.is_alive()
        await self.close()
        return self.code

    async def close(self) -> None:
        self.client.give_up("the test ends")
        await asyncio.wait_for(self.client.closed.wait(), 10)
        self.theirs.close()


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    both = Both()
    await both.connect()
    await until(lambda: both.server.facts is not None)
    yield both
    both.client.give_up("the test ends")
    await both.ended_with()
    both.engine.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def listening() -> tuple[list[Event], Callable[[Event], None], asyncio.Event]:
    seen: list[Event] = []
    over = asyncio.Event()

    def emit(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Finished | Failed):
            over.set()

    return seen, emit, over


def in_shared_memory() -> set[tuple[str, int]]:
    """The files there that this process has open and that have no name, by name and descriptor."""
    links = {path.name: path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    ours = {fd: link for fd, link in links.items() if link.is_relative_to(SHARED_MEMORY)}
    return {(link.name, int(fd)) for fd, link in ours.items() if link.name.endswith("(deleted)")}


def failure(event: Event) -> tuple[int, str | None, int | None]:
    assert isinstance(event, Failed)
    return event.rejected.status, event.rejected.code, event.rejected.retry_after_s


async def test_an_answer_comes_token_by_token_and_is_counted_when_it_is_whole(both: Both) -> None:
    seen, emit, over = listening()
    both.client.submit(ask("abc"), emit)
    assert both.client.waiting == 1
    assert both.client.busy
    await asyncio.wait_for(over.wait(), 10)
    assert seen[:4] == [Begun(), Piece("a"), Piece("b"), Piece("c")]
    assert isinstance(seen[4], Finished)
    await until(lambda: both.client.tokens_total == 4 and not both.client.busy)
    assert (both.client.waiting, both.client.died) == (0, False)


async def test_a_request_may_go_through_shared_memory_and_leaves_nothing_there(both: Both) -> None:
    both.client.settings = replace(LIMITS, requests_in_shm=True)
    before = in_shared_memory()  # of whatever ran in this process
    seen, emit, over = listening()
    both.client.submit(ask("abc"), emit)
    assert len(in_shared_memory() - before) == 1
    await asyncio.wait_for(over.wait(), 10)
    assert seen[1:4] == [Piece("a"), Piece("b"), Piece("c")]
    assert not in_shared_memory() - before


async def test_a_request_in_shared_memory_whose_client_leaves_is_taken_and_forgotten(both: Both) -> None:
    both.client.settings = replace(LIMITS, requests_in_shm=True)
    before = in_shared_memory()
    seen, emit, over = listening()
    both.client.submit(ask("abc"), emit).set()
    assert not in_shared_memory() - before, "though the engine has not read it yet"
    both.client.submit(ask("xy"), emit)
    await asyncio.wait_for(over.wait(), 10)
    assert seen[1:3] == [Piece("x"), Piece("y")]
    await until(lambda: both.client.waiting == 0 and not both.client.busy)


async def test_an_engine_that_is_gone_leaves_no_request_in_shared_memory(both: Both) -> None:
    both.client.settings = replace(LIMITS, requests_in_shm=True)
    before = in_shared_memory()
    both.client.submit(ask("abc"), lambda _: None)
    both.client.give_up("it was killed")
    assert not in_shared_memory() - before


async def test_a_request_that_finds_no_room_is_owed_nothing(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.client.settings = replace(LIMITS, requests_in_shm=True)
    monkeypatch.setattr(both.client, "_shared", SharedRequests(Path("/gone")))
    seen, emit, over = listening()
    with pytest.raises(RequestRejectedError, match="finds no room in /gone"):
        both.client.submit(ask("abc"), emit)
    assert (both.client.waiting, both.client.busy) == (0, False)
    both.client.submit(ask("abc"), emit, express=True)
    await asyncio.wait_for(over.wait(), 10)
    assert isinstance(seen[-1], Finished), "the probe needs none of it"


async def test_what_the_engine_says_of_itself_arrives(both: Both) -> None:
    assert both.server.facts == {
        "verified": True,
        "note": "all is right",
        "load_s": 0.1,
        "versions": {"torch": "none"},
        "can_recheck": True,
    }
    assert await RemoteModel(both.client, {}).digests() == {"params_sha256": "d1ge57"}
    assert await both.client.call("recheck", 10) is None
    both.held.bad = "manifest: changed"
    with pytest.raises(ValueError, match="manifest: changed"):
        await both.client.call("recheck", 10)
    with pytest.raises(ValueError, match="cannot be asked for"):
        await both.client.call("whatever", 10)


async def test_a_full_queue_in_the_engine_is_a_429_with_its_time_to_come_back(both: Both) -> None:
    jobs = []
    for wanted in ((2, 0), (2, 3)):
        jobs += [
            both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None) for _ in range(sum(wanted) - len(jobs))
        ]
        await until(lambda wanted=wanted: (both.client.status.running, both.client.status.waiting) == wanted)
    seen, emit, over = listening()
    both.client.submit(ask("y"), emit)
    await asyncio.wait_for(over.wait(), 10)
    assert failure(seen[0]) == (429, "queue_full", 1)
    for job in jobs:
        job.cancelled.set()


async def test_how_long_a_request_waited_is_known_when_it_has_begun(both: Both) -> None:
    first = both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None)
    second = both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None)
    seen, emit, over = listening()
    waiting = both.client.submit(ask("y"), emit)
    await until(lambda: both.client.status.waiting == 1)
    await asyncio.sleep(0.05)
    assert seen == []
    first.cancelled.set()
    second.cancelled.set()
    await asyncio.wait_for(over.wait(), 10)
    assert 0.05 <= waiting.begun_s - waiting.queued_s < 10


async def test_a_client_that_leaves_frees_the_engine(both: Both) -> None:
    job = both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None)
    await until(lambda: both.client.running == 1)
    job.cancelled.set()
    job.cancelled.set()
    await until(lambda: not both.client.busy)
    assert both.end._open == {}


async def test_an_express_request_passes_a_queue_and_is_no_work(both: Both) -> None:
    jobs = [both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None) for _ in range(4)]
    await until(lambda: both.client.running == 2)
    seen, emit, over = listening()
    both.client.submit(ask("y", 1), emit, express=True)
    await asyncio.wait_for(over.wait(), 10)
    assert isinstance(seen[-1], Finished)
    for job in jobs:
        job.cancelled.set()
    await until(lambda: not both.client.busy)


async def test_when_the_engine_is_given_up_everything_fails_at_once_and_later_too(both: Both) -> None:
    both.decoder.gate.clear()
    seen, emit, _ = listening()
    both.client.submit(ask("x"), emit)
    asked = asyncio.ensure_future(both.client.call("recheck", 10))
    await asyncio.sleep(0)
    tokens = both.client.tokens_total
    both.client.give_up("signal 9 (SIGKILL)")
    assert failure(seen[-1]) == (503, "engine_gone", 1)
    both.client.submit(ask("x"), emit, express=True)
    assert failure(seen[-1])[0] == 503
    assert not both.client.busy
    with pytest.raises(EngineGoneError):
        await asked
    with pytest.raises(RequestRejectedError):
        await RemoteModel(both.client, {}).digests()
    both.decoder.gate.set()
    assert EngineClient(LIMITS, both.server, Totals(tokens + 5, 1, 2)).tokens_total == tokens + 5


async def test_faults_act_in_the_engine_and_end_there(both: Both) -> None:
    both.client.send(["fault", "hang", {}])
    seen, emit, over = listening()
    both.client.submit(ask("x"), emit)
    await until(lambda: both.client.running == 1)
    await asyncio.sleep(0.05)
    assert seen == []
    assert both.client.busy
    both.client.send(["fault", "hang", None])
    await asyncio.wait_for(over.wait(), 10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_poisoned_request_ends_the_loop_and_the_server_is_told(both: Both) -> None:
    both.client.send(["fault", "poison", {"effect": "kill_loop"}])
    both.client.submit(ask("fine"), lambda _: None)
    await until(lambda: both.client.tokens_total == 5)
    assert not both.client.died
    both.client.submit(ask("a poison-pill"), lambda _: None)
    await until(lambda: both.client.died)


async def test_a_poisoned_request_can_fail_alone(both: Both) -> None:
    both.client.send(["fault", "poison", {"effect": "fail", "marker": "bad"}])
    answers = []
    for text in ("bad", "good"):
        seen, emit, over = listening()
        both.client.submit(ask(text), emit)
        await asyncio.wait_for(over.wait(), 10)
        answers.append(seen[-1])
    assert failure(answers[0]) == (500, "poisoned", None)
    assert isinstance(answers[1], Finished)


async def test_a_crash_ends_the_engines_process_with_its_code(both: Both) -> None:
    both.client.send(["fault", "crash", {"exit_code": 3, "after_s": 0.0, "where": "engine"}])
    await until(lambda: both.ended == [3])


async def test_one_message_that_is_nonsense_harms_no_other(both: Both) -> None:
    both.client.send(["submit", 999, {}, False])
    both.client.send(["dance"])
    both.client.send(["fault", "explode", {}])
    seen, emit, over = listening()
    both.client.submit(ask("a"), emit)
    await asyncio.wait_for(over.wait(), 10)
    assert isinstance(seen[-1], Finished)


async def test_told_to_stop_the_engine_fails_what_is_open_and_ends_with_0() -> None:
    both = Both()
    await both.connect()
    await until(lambda: both.server.facts is not None)
    seen, emit, over = listening()
    both.client.submit(ask("x", 10**6, ignore_eos=True), emit)
    await until(lambda: both.client.running == 1)
    both.client.stop()
    await asyncio.wait_for(over.wait(), 10)
    assert failure(seen[-1])[0] == 503
    assert await both.ended_with() == 0
    assert both.ended == []


async def test_a_bad_model_is_refused_with_its_reason_and_exit_code_78() -> None:
    both = Both(bad="manifest: model.safetensors sha256 differs")
    await both.connect()
    await until(lambda: both.server.reason is not None)
    assert both.server.reason == "manifest: model.safetensors sha256 differs"
    assert await both.ended_with() == 78


@pytest.mark.parametrize(("orphan", "ended", "code"), [("off", [0], None), ("on", [], None)])
async def test_an_engine_ends_with_its_server_unless_it_is_to_be_an_orphan(
    orphan: str, ended: list[int], code: int | None
) -> None:
    both = Both("--orphan-engine", orphan)
    await both.connect()
    await until(lambda: both.server.facts is not None)
    both.client.submit(ask("x", 10**6, ignore_eos=True), lambda _: None)
    await until(lambda: both.client.running == 1)
    both.client.give_up("the server dies")
    assert await both.ended_with() is code
    assert sorted(set(both.ended)) == ended
    assert both.engine.running == 1  # generating for nobody, and held up by nobody
    both.engine.stop()


@asynccontextmanager
async def silent(settings: EngineSettings) -> AsyncIterator[tuple[EngineClient, socket.socket]]:
    """A client whose engine has been stopped: nobody reads at the other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    client = EngineClient(settings, Server())
    await asyncio.get_running_loop().create_unix_connection(lambda: client, sock=ours)
    with theirs:
        yield client, theirs
        client.give_up("the test ends")
        await asyncio.wait_for(client.closed.wait(), 10)


async def test_an_engine_that_was_stopped_still_shows_work_and_is_owed_a_bounded_number_of_answers() -> None:
    bound = LIMITS.queue_max + LIMITS.active_max + SLACK
    async with silent(LIMITS) as (client, _):
        for _ in range(bound):
            client.submit(ask("x"), lambda _: None)
        assert (client.waiting, client.busy, client.steps_total) == (bound, True, 0)
        with pytest.raises(RequestRejectedError) as caught:
            client.submit(ask("x"), lambda _: None)
        assert (caught.value.status, caught.value.code) == (429, "queue_full")
        client.submit(ask("x"), lambda _: None, express=True)  # a probe still gets through, to the silence


async def test_what_an_engine_does_not_read_is_kept_up_to_a_bound_and_never_waited_for() -> None:
    async with silent(EngineSettings(queue_max=0)) as (client, _):
        for _ in range(33):
            client.submit(ask("x" * 2**20), lambda _: None)
        with pytest.raises(RequestRejectedError) as caught:
            client.submit(ask("x"), lambda _: None)
    assert (caught.value.status, caught.value.code) == (503, "engine_silent")


async def test_an_engine_that_does_not_keep_to_the_protocol_is_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    async with silent(LIMITS) as (client, theirs):
        theirs.sendall(b"\xff\xff\xff\xff")
        await asyncio.wait_for(client.closed.wait(), 10)
    assert "does not keep to the protocol" in caplog.text
