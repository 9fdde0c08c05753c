"""A roll-out asks a real gateway to take users away, and hears why it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from target_service.releases.isolation import GatewayIsolation
from target_service.releases.store import ReleaseError
from tests.target_service.gateway.stub_replicas import Stack
from tests.target_service.gateway.test_control_served import ADMIN, controlled

pytestmark = pytest.mark.process


def asking(stack: Stack, token: str = ADMIN, drain_s: float = 5.0) -> GatewayIsolation:
    url = stack.gateway.make_url("")
    return GatewayIsolation(f"{url.host}:{url.port}", token, drain_s)


async def test_users_go_elsewhere_and_those_under_way_are_waited_for(tmp_path: Path) -> None:
    async with controlled(tmp_path) as stack:
        stack.stubs["primary"].mode = "slow"
        under_way = asyncio.create_task(stack.served(1))
        await stack.until(lambda s: s["replicas"]["primary"]["open_requests"] == 1)
        isolating = asyncio.create_task(asyncio.to_thread(asking(stack).isolate, "primary"))
        await stack.until(lambda s: s["active"] == "standby")
        assert await stack.served(2) == [(200, "standby")] * 2
        assert not isolating.done()
        stack.stubs["primary"].release.set()
        await isolating
        assert await under_way == [(200, "primary")]


async def test_a_request_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with controlled(tmp_path) as stack:
        stack.stubs["primary"].mode = "slow"
        under_way = asyncio.create_task(stack.served(1))
        await stack.until(lambda s: s["replicas"]["primary"]["open_requests"] == 1)
        await asyncio.to_thread(asking(stack, drain_s=0.1).isolate, "primary")
        stack.stubs["primary"].release.set()
        await under_way


async def test_the_last_admitted_replica_a_wrong_token_and_a_gateway_that_is_away_are_a_sentence(
    tmp_path: Path,
) -> None:
    async with controlled(tmp_path) as stack:
        await asyncio.to_thread(asking(stack).isolate, "primary")
        with pytest.raises(ReleaseError, match="refused with 409: 'standby' is the last admitted replica"):
            await asyncio.to_thread(asking(stack).isolate, "standby")
        with pytest.raises(ReleaseError, match="refused with 401"):
            await asyncio.to_thread(asking(stack, "guessed-by-somebody").isolate, "primary")
        with pytest.raises(ReleaseError, match="refused with 404: There is no replica"):
            await asyncio.to_thread(asking(stack).isolate, "nobody")
        away = asking(stack)
    with pytest.raises(ReleaseError, match="did not answer"):
        await asyncio.to_thread(away.isolate, "primary")
    assert ADMIN not in repr(away)
