"""Retries and hedges, on and off, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.gateway.stub_replicas import gateway_before, pair

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("share", "expected"), [(0.0, (502, "primary")), (1.0, (200, "standby"))])
async def test_a_request_that_got_no_answer_is_tried_at_another_replica(
    share: float, expected: tuple[int, str], tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, retry_share=share, retry_backoff_s=0.001) as stack:
        stack.stubs["primary"].mode = "drop"
        assert await stack.served(2) == [expected] * 2
        state = await stack.get("/gateway/state")
        assert state["retries_total"] == (2 if share else 0)
        assert state["received_total"] == 2


async def test_retries_stay_within_their_share(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, retry_share=0.5, retry_backoff_s=0.001) as stack:
        stack.stubs["primary"].mode = "drop"
        assert [status for status, _ in await stack.served(6)] == [502, 200, 502, 200, 502, 200]


async def test_without_another_replica_the_same_one_is_tried_again_and_no_more_than_allowed(tmp_path: Path) -> None:
    only = {"primary": pair()["primary"]}
    async with gateway_before(only, tmp_path, retry_share=1.0, retry_max=2, retry_backoff_s=0.001) as stack:
        await stack.served(5)
        only["primary"].mode = "drop"
        only["primary"].users_asked = 0
        assert await stack.served(1) == [(502, "primary")]
        assert only["primary"].users_asked == 3


async def test_an_answer_that_began_is_never_tried_again(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, retry_share=1.0) as stack:
        stack.stubs["primary"].mode = "break"
        with pytest.raises(aiohttp.ClientError):
            async with stack.chat(stream=True) as response:
                await response.read()
        state = await stack.get("/gateway/state")
        assert (state["retries_total"], stack.stubs["standby"].users_asked) == (0, 0)


async def test_a_server_error_is_an_answer_and_is_not_tried_again(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, retry_share=1.0) as stack:
        stack.stubs["primary"].status = 500
        assert await stack.served(2) == [(500, "primary")] * 2
        assert stack.stubs["standby"].users_asked == 0


async def test_a_probe_is_never_tried_again(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, retry_share=1.0) as stack:
        await stack.served(3)
        stack.stubs["primary"].mode = "drop"
        async with stack.chat(X_Probe="harness") as response:
            assert response.status == 502


@pytest.mark.parametrize(("after_s", "expected"), [(0.0, (504, "primary")), (0.1, (200, "standby"))])
async def test_a_hedge_answers_for_a_replica_that_hangs(
    after_s: float, expected: tuple[int, str], tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=after_s, request_timeout_s=0.5) as stack:
        stack.stubs["primary"].mode = "hang"
        assert await stack.served(1) == [expected]
        async with asyncio.timeout(2):
            await stack.stubs["primary"].cancelled.wait()
        state = await stack.get("/gateway/state")
        assert state["hedges_won_total"] == state["hedges_total"] == (1 if after_s else 0)
        assert [each["open_requests"] for each in state["replicas"].values()] == [0, 0]


async def test_a_quick_answer_is_not_hedged_and_keeps_its_headers(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=2.0) as stack:
        async with stack.chat() as response:
            assert await response.json() == {"choices": [{"message": {"content": "positive"}}]}
            assert (response.headers["X-Served-By"], response.headers["X-Upstream"]) == ("primary", "kept")
        assert stack.stubs["standby"].users_asked == 0


async def test_the_first_replica_wins_when_its_hedge_fails(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=0.05) as stack:
        primary, standby = stack.stubs["primary"], stack.stubs["standby"]
        primary.mode, standby.mode = "slow", "drop"
        asking = asyncio.create_task(stack.served(1))
        async with asyncio.timeout(2):
            while not standby.users_asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stack.until(lambda s: s["replicas"]["standby"]["open_requests"] == 0)
        primary.release.set()
        assert await asking == [(200, "primary")]
        state = await stack.get("/gateway/state")
        assert (state["hedges_total"], state["hedges_won_total"]) == (1, 0)


async def test_a_hedge_that_meets_somebody_not_ready_does_not_end_the_try_that_is_being_served(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=0.05) as stack:
        primary, standby = stack.stubs["primary"], stack.stubs["standby"]
        primary.mode = "slow"
        standby.ready, standby.status, standby.headers = False, 503, {"Retry-After": "1", "X-Not-Ready": "1"}
        asking = asyncio.create_task(stack.served(1))
        async with asyncio.timeout(2):
            while not standby.users_asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stack.until(lambda s: s["replicas"]["standby"]["open_requests"] == 0)
        primary.release.set()
        assert await asking == [(200, "primary")]
        assert primary.users_asked == 1, "what it had begun was not thrown away"
        assert (await stack.get("/gateway/state"))["hedges_won_total"] == 0


async def test_a_stream_is_never_hedged(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=0.05, request_timeout_s=0.4) as stack:
        stack.stubs["primary"].mode = "hang"
        async with stack.chat(stream=True) as response:
            assert response.status == 504
        assert stack.stubs["standby"].users_asked == 0


async def test_hedges_take_from_the_retry_budget_when_there_is_one(tmp_path: Path) -> None:
    changes = {"hedge_after_s": 0.05, "retry_share": 0.5, "request_timeout_s": 0.4}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stack.stubs["primary"].mode = "hang"
        assert [status for status, _ in await stack.served(4)] == [504, 200, 504, 200]


async def test_a_client_that_leaves_cancels_the_hedge_too(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=0.05) as stack:
        for stub in stack.stubs.values():
            stub.mode = "hang"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4), stack.chat():
                raise AssertionError("the stubs hang")
        async with asyncio.timeout(2):
            for stub in stack.stubs.values():
                await stub.cancelled.wait()
        await stack.until(lambda s: all(each["open_requests"] == 0 for each in s["replicas"].values()))


async def test_a_probe_is_never_hedged(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hedge_after_s=0.05, request_timeout_s=0.4) as stack:
        stack.stubs["primary"].mode = "hang"
        async with stack.chat(X_Probe="harness") as response:
            assert response.status == 504


async def test_a_hedge_that_finds_no_other_replica_costs_no_retry(tmp_path: Path) -> None:
    only = {"primary": pair()["primary"]}
    changes = {"hedge_after_s": 0.05, "retry_share": 1.0, "retry_backoff_s": 0.001, "request_timeout_s": 0.4}
    async with gateway_before(only, tmp_path, **changes) as stack:
        only["primary"].mode = "hang"
        assert await stack.served(1) == [(504, "primary")]
        only["primary"].mode, only["primary"].users_asked = "drop", 0
        assert await stack.served(1) == [(502, "primary")]
        assert only["primary"].users_asked == 3


async def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    changes = {"retry_share": 1.0, "retry_backoff_s": 1e6, "seed": 1}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stack.stubs["primary"].mode = "drop"
        async with asyncio.timeout(2):
            assert await stack.served(1) == [(502, "primary")]
