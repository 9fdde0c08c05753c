"""Mechanisms that need a whole replica: a process of its own with the real model."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.replica.test_replica import Replica, ask, get, ready, until

pytestmark = pytest.mark.model

TOKEN = {"X-Fault-Token": "sesame"}
ENDLESS = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 480, "ignore_eos": True}


async def post_fault(replica: Replica, name: str, body: dict[str, object] | None = None) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(replica.url(f"/faults/{name}"), json=body or {}, headers=TOKEN) as response,
    ):
        assert response.status == 200


async def test_a_hung_engine_is_seen_by_deep_health_and_ended_by_the_watchdog(model_folder: Path) -> None:
    deep = ("--health-mode", "deep", "--health-probe-s", "0.1", "--health-stall-s", "0.3")
    replica = Replica(model_folder, "--watchdog-s", "3", "--faults-token", "sesame", *deep)
    try:
        await ready(replica)
        busy = [asyncio.create_task(ask(replica, ENDLESS)) for _ in range(20)]
        end_s = time.monotonic() + 1
        while time.monotonic() < end_s:
            assert (await get(replica, "/health"))[0] == 200, "busy is not hung"
        await post_fault(replica, "hang")

        async def unhealthy() -> bool:
            return (await get(replica, "/health"))[0] == 503 and (await get(replica, "/ready"))[0] == 503

        await until(unhealthy, within_s=2.5)
        await asyncio.gather(*busy, return_exceptions=True)
    finally:
        code, log = replica.end()
    assert code == 70
    assert "made no step" in log
    assert "before_round" in log
