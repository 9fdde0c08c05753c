"""The answer cache: bounded, with an end, one computation, and no answer to another question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, cast

import pytest

from target_service.protocol.chat import ChatRequest, Message, Sampling, Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.cache import AnswerCache, KnownAnswer, answered_once, cache_key
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.settings import parse_arguments
from target_service.replica.state import ReplicaState, Serving

END = Finished("stop", Usage(1, 2))
ANSWER = KnownAnswer("ab", END)
ASKED = ChatRequest((Message("system", "s"), Message("user", "hi")), Sampling(), stream=False, include_usage=False)


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Computes:
    """Answers when the test says so; counts how often it was asked."""

    def __init__(self, *events: Event) -> None:
        self.asked, self.go, self._events = 0, asyncio.Event(), events or (Begun(), Piece("a"), Piece("b"), END)

    async def __call__(self) -> AsyncGenerator[Event]:
        self.asked += 1
        await self.go.wait()
        for event in self._events:
            yield event


class Stepwise:
    """Says what the test tells it to, one event at a time; an exception is raised."""

    def __init__(self) -> None:
        self.asked = self.closed = 0
        self._said: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self.say = self._said.put_nowait

    async def __call__(self) -> AsyncGenerator[Event]:
        self.asked += 1
        try:
            yield Begun()
            while True:
                said = await self._said.get()
                if isinstance(said, Exception):
                    raise said
                yield said
                if isinstance(said, Finished | Failed):
                    return
        finally:
            self.closed += 1


async def whole(cache: AnswerCache, compute: Computes) -> tuple[str, Event]:
    events = [event async for event in answered_once(cache, "key", compute)]
    return "".join(event.text for event in events if isinstance(event, Piece)), events[-1]


def test_an_answer_is_known_until_it_is_too_old() -> None:
    clock = Time()
    cache = AnswerCache(2, 10.0, clock)
    cache.put("key", ANSWER)
    clock.now_s += 9.9
    assert cache.get("key") == ANSWER
    clock.now_s += 0.2
    assert cache.get("key") is None
    assert len(cache) == 0


def test_the_answer_that_was_not_asked_for_the_longest_makes_room() -> None:
    cache = AnswerCache(2, 10.0)
    for key in ("a", "b"):
        cache.put(key, ANSWER)
    assert cache.get("a")
    cache.put("c", ANSWER)
    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(ASKED, messages=(Message("system", "t"), Message("user", "hi"))), id="system prompt"),
        pytest.param(replace(ASKED, sampling=Sampling(max_tokens=2)), id="max_tokens"),
        pytest.param(replace(ASKED, sampling=Sampling(stop=("x",))), id="stop"),
        pytest.param(replace(ASKED, sampling=Sampling(temperature=1, seed=7)), id="seed"),
    ],
)
def test_a_full_key_tells_apart_what_a_prompt_only_key_mixes_up(other: ChatRequest) -> None:
    assert cache_key("full", ASKED, "v") != cache_key("full", other, "v")
    assert cache_key("prompt-only", ASKED, "v") == cache_key("prompt-only", other, "v")


def test_a_full_key_knows_the_model_version_and_not_the_form_of_the_reply() -> None:
    assert cache_key("full", ASKED, "v") != cache_key("full", ASKED, "w")
    assert cache_key("full", ASKED, "v") == cache_key("full", replace(ASKED, stream=True), "v")


@pytest.mark.parametrize(("verified", "same"), [(True, True), (None, False), (False, False)])
def test_a_model_that_nobody_verified_may_be_another_one_after_every_start_of_the_engine(
    verified: bool | None, *, same: bool
) -> None:
    serving = Serving(cast(Any, None), cast(Any, None), verified, "", 0.1)
    state = ReplicaState("primary", "m", "what its manifest says", serving=serving, engine_starts=1)
    before = state.model_version
    assert state.model_version == before
    state.engine_starts = 2
    assert (state.model_version == before) is same
    state.weights_sha256 = "another"
    assert state.model_version != before


def test_an_answer_that_is_drawn_at_random_is_not_kept() -> None:
    assert cache_key("full", replace(ASKED, sampling=Sampling(temperature=1)), "v") is None


async def test_many_who_ask_at_a_time_get_one_computation() -> None:
    cache, compute = AnswerCache(9, 60.0), Computes()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(20)]
    await asyncio.sleep(0)
    compute.go.set()
    assert set(await asyncio.gather(*asking)) == {("ab", END)}
    assert (compute.asked, cache.hits_total, cache.misses_total) == (1, 19, 1)


async def test_when_the_one_who_asked_first_leaves_the_others_get_the_same_computation() -> None:
    cache, compute = AnswerCache(9, 60.0), Computes()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.gather(asking[0], return_exceptions=True)
    compute.go.set()
    assert await asyncio.gather(*asking[1:]) == [("ab", END)] * 2
    assert compute.asked == 1
    assert not cache.computing


async def test_who_asks_the_same_gets_each_piece_as_it_comes_and_not_only_at_the_end() -> None:
    cache, compute = AnswerCache(9, 60.0), Stepwise()
    first = answered_once(cache, "key", compute)
    assert await anext(first) == Begun()
    second = answered_once(cache, "key", compute)
    assert await anext(second) == Begun()
    compute.say(Piece("a"))
    async with asyncio.timeout(5):
        assert await anext(second) == await anext(first) == Piece("a")
    await first.aclose()
    compute.say(END)
    async with asyncio.timeout(5):
        assert [event async for event in second] == [END]
    assert (compute.asked, compute.closed, cache.hits_total) == (1, 1, 1)


async def test_a_failure_of_the_computation_reaches_all_who_wait_at_once() -> None:
    cache, compute = AnswerCache(9, 60.0), Stepwise()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(3)]
    await asyncio.sleep(0)
    failed = Failed(RequestRejectedError(500, "broken"))
    compute.say(failed)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*asking) == [("", failed)] * 3
    assert (compute.asked, cache.hits_total, len(cache)) == (1, 0, 0)
    assert not cache.computing


async def test_a_computation_that_raises_raises_for_all_and_is_forgotten() -> None:
    cache, compute = AnswerCache(9, 60.0), Stepwise()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(2)]
    await asyncio.sleep(0)
    compute.say(RuntimeError("broken"))
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(each) for each in ended] == ["broken"] * 2
    assert not cache.computing


async def test_when_the_last_one_leaves_the_computation_ends_and_the_next_one_begins_anew() -> None:
    cache, compute = AnswerCache(9, 60.0), Stepwise()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(2)]
    await asyncio.sleep(0)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert not cache.computing
    async with asyncio.timeout(5):
        while not compute.closed:  # noqa: ASYNC110
            await asyncio.sleep(0)
    other = asyncio.ensure_future(whole(cache, compute))
    await asyncio.sleep(0)
    compute.say(END)
    async with asyncio.timeout(5):
        assert await other == ("", END)
    assert compute.asked == 2


async def test_one_who_waits_and_leaves_takes_nobody_along() -> None:
    cache, compute = AnswerCache(9, 60.0), Computes()
    asking = [asyncio.ensure_future(whole(cache, compute)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[1].cancel()
    compute.go.set()
    assert [await asking[0], await asking[2]] == [("ab", END)] * 2


async def test_a_failure_is_not_kept() -> None:
    failed = Failed(RequestRejectedError(500, "broken"))
    cache, compute = AnswerCache(9, 60.0), Computes(failed)
    compute.go.set()
    assert (await whole(cache, compute))[1] is failed
    assert (await whole(cache, compute))[1] is failed
    assert compute.asked == 2


def test_there_is_no_cache_by_default() -> None:
    assert parse_arguments(["--model", "m", "--port", "1"]).http.cache_size == 0
