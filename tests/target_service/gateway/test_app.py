"""The gateway over real sockets, with its default settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.gateway.stub_replicas import ANSWER, Stack, gateway_before, pair

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with gateway_before(pair(), tmp_path) as made:
        yield made


async def test_replies_carry_who_served_them_and_the_request_id(stack: Stack) -> None:
    async with stack.chat(X_Request_Id="r1") as response:
        assert await response.json() == ANSWER
        assert response.headers["X-Served-By"] == "primary"
        assert response.headers["X-Request-Id"] == "r1"
        assert response.headers["X-Upstream"] == "kept"


async def test_a_stream_passes_chunk_by_chunk(stack: Stack) -> None:
    stub = stack.stubs["primary"]
    stub.mode = "stream"
    async with stack.chat() as response:
        # The upstream has not ended yet: a gateway that buffers would wait here for ever.
        assert await response.content.readuntil(b"\n\n") == b"data: one\n\n"
        stub.release.set()
        assert await response.content.read() == b"data: [DONE]\n\n"


async def test_an_upstream_that_breaks_mid_body_breaks_the_client_too(stack: Stack) -> None:
    stack.stubs["primary"].mode = "break"
    with pytest.raises(aiohttp.ClientError):
        async with stack.chat() as response:
            await response.read()
    assert (await stack.get("/gateway/state"))["outcomes"] == {"broken_mid_body": 1}


async def test_an_upstream_that_is_too_slow_is_a_504(stack: Stack) -> None:
    stack.stubs["primary"].mode = "hang"
    async with stack.chat() as response:
        assert response.status == 504
        assert (await response.json())["error"]["type"] == "timeout_error"


async def test_a_client_that_leaves_cancels_the_upstream(stack: Stack) -> None:
    stub = stack.stubs["primary"]
    stub.mode = "hang"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), stack.chat():
            raise AssertionError("the stub hangs")
    async with asyncio.timeout(2):
        await stub.cancelled.wait()


async def test_a_dead_primary_is_502_until_the_standby_takes_over(stack: Stack) -> None:
    await stack.stubs["primary"].server.close()
    async with stack.chat() as response:
        assert response.status in (200, 502)
    await stack.until(lambda s: s["active"] == "standby")
    async with stack.chat() as response:
        assert (response.status, response.headers["X-Served-By"]) == (200, "standby")
    kinds = await stack.kinds("primary")
    assert kinds.count("beat_missed") == 3
    assert kinds[-1] == "isolated"


async def test_without_an_admitted_replica_the_answer_is_503_with_retry_after(stack: Stack) -> None:
    for stub in stack.stubs.values():
        stub.ready = False
    await stack.until(lambda s: s["active"] is None)
    async with stack.chat() as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
    async with stack.client.get(stack.gateway.make_url("/ready")) as response:
        assert response.status == 503


async def test_a_replica_with_wrong_golden_answers_stays_out(stack: Stack) -> None:
    stub = stack.stubs["primary"]
    stub.answer, stub.incarnation = "negative", "two"
    await stack.until(lambda s: s["active"] == "standby")
    deadline_s = time.monotonic() + 10
    while "golden_failed" not in await stack.kinds("primary"):
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)
    stub.answer, asked = "positive", stub.golden_asked
    await stack.until(lambda s: s["active"] == "primary")
    assert stub.golden_asked - asked >= 3


async def test_beats_stay_on_schedule_while_one_hangs(stack: Stack) -> None:
    stack.stubs["primary"].hang_ready = True
    await stack.until(lambda s: s["active"] == "standby")
    events = (await stack.get("/gateway/events?since=0"))["events"]
    missed = [e for e in events if e["kind"] == "beat_missed" and e["replica"] == "primary"][:3]
    # One after the other they would begin a whole timeout (1 s) apart.
    assert missed[2]["beat_begin_s"] - missed[0]["beat_begin_s"] < 1.0
    assert all(e["at_s"] - e["beat_begin_s"] > 0.9 for e in missed)


async def test_a_repeated_id_counts_once_and_a_probe_is_no_user(stack: Stack) -> None:
    for headers in ({"X_Request_Id": "a"}, {"X_Request_Id": "a"}, {"X_Probe": "harness"}):
        async with stack.chat(**headers) as response:
            await response.read()
    state = await stack.get("/gateway/state")
    assert (state["received_distinct"], state["received_total"], state["probe_total"]) == (1, 2, 1)
