"""The time-out of one try, on and off."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.target_service.gateway.stub_replicas import gateway_before, pair

pytestmark = pytest.mark.process

RETRIES = {"retry_share": 1.0, "retry_backoff_s": 0.001}


@pytest.mark.parametrize(("try_timeout_s", "expected"), [(0.0, (504, None)), (0.2, (200, "standby"))])
async def test_a_replica_that_hangs_costs_one_try_and_not_the_request(
    try_timeout_s: float, expected: tuple[int, str | None], tmp_path: Path
) -> None:
    changes = {"try_timeout_s": try_timeout_s, "request_timeout_s": 1.5, **RETRIES}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stub = stack.stubs["primary"]
        stub.mode = "hang"
        begin_s = time.monotonic()
        status, served_by = (await stack.served(1))[0]
        assert (status, served_by if status == 200 else None) == expected
        assert (time.monotonic() - begin_s < 1.4) is (status == 200)
        async with asyncio.timeout(2):
            await stub.cancelled.wait()


async def test_a_try_that_is_given_up_counts_as_a_failure_of_its_replica(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, try_timeout_s=0.2, breaker_failures=1) as stack:
        stack.stubs["primary"].mode = "hang"
        async with stack.chat() as response:
            assert response.status == 504
            body = await response.json()
            assert body["error"]["code"] == "upstream_try_timeout"
            assert "did not begin to answer in 0.2 s" in body["error"]["message"]
        assert "breaker_opened" in await stack.kinds("primary")
        assert (await stack.get("/gateway/state"))["outcomes"] == {"try_timeout": 1}


async def test_an_answer_that_began_may_take_as_long_as_the_request_and_is_never_tried_again(tmp_path: Path) -> None:
    changes = {"try_timeout_s": 0.2, "request_timeout_s": 5.0, **RETRIES}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stub = stack.stubs["primary"]
        stub.mode = "stream"
        async with stack.chat(stream=True) as response:
            assert await response.content.readuntil(b"\n\n") == b"data: one\n\n"
            await asyncio.sleep(0.5)
            stub.release.set()
            assert await response.content.read() == b"data: [DONE]\n\n"
        assert (await stack.get("/gateway/state"))["retries_total"] == 0
        assert stack.stubs["standby"].users_asked == 0


async def test_the_requests_own_deadline_is_not_taken_for_a_tries(tmp_path: Path) -> None:
    changes = {"try_timeout_s": 5.0, "request_timeout_s": 0.3, **RETRIES}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stack.stubs["primary"].mode = "hang"
        async with stack.chat() as response:
            assert (response.status, (await response.json())["error"]["code"]) == (504, "upstream_timeout")
        assert (await stack.get("/gateway/state"))["retries_total"] == 0
